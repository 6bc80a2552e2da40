package actors

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/remote"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/latchkey/latchkey/actors/actorspb"
	"github.com/latchkey/latchkey/lock"
)

// The commands and replies that travel. The test fails when lock has one more.
var (
	commands = byName(
		new(lock.CreateLock), new(lock.SetOwner), new(lock.SetOrganization), new(lock.AddKey), new(lock.RemoveKey),
		new(lock.AddResident), new(lock.RemoveResident), new(lock.RotateDeviceSecret), new(lock.CreateTempKey),
		new(lock.UpdateTempKey), new(lock.DeleteTempKey), new(lock.CreateTempKeys), new(lock.UpdateTempKeys), new(lock.Once), new(lock.OpenLock), new(lock.OpenWithTempKey), new(lock.GetLock),
		new(lock.GetTempKey), new(lock.ListTempKeys), new(lock.AuthenticateDevice), new(lock.ConnectDevice), new(lock.KeepDevice),
		new(lock.DisconnectDevice), new(lock.WriteKey), new(lock.BulkAddKeys), new(lock.GetBulkAddKeys),
		new(lock.ChangeLockUUID), new(lock.SetConfig), new(lock.UseTempKey), new(lock.AnswerKey), new(lock.AnswerConfig),
		new(lock.AnswerOpen), new(lock.AnswerStatus), new(lock.ReportEvents), new(lock.Tick), new(lock.OpenWithPIN),
	)
	replies = byName(
		new(lock.Done), new(lock.KeyResult), new(lock.BulkProgress), new(lock.OpenResult), new(lock.Info), new(lock.TempKeyList), new(lock.TempKeyInfo), new(lock.TempKeysDone), new(lock.Greeting),
		new(lock.PINRefused),
	)
)

func byName(values ...any) map[string]reflect.Type {
	types := make(map[string]reflect.Type)
	for _, v := range values {
		t := reflect.TypeOf(v).Elem()
		types[t.Name()] = t
	}
	return types
}

// receivers are the types of lock with a method of that name, from lock's sources.
func receivers(t *testing.T, method string) []string {
	t.Helper()
	files, err := filepath.Glob("../lock/*.go")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	var names []string
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		for _, d := range parsed.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv != nil && f.Name.Name == method {
				names = append(names, f.Recv.List[0].Type.(*ast.StarExpr).X.(*ast.Ident).Name)
			}
		}
	}
	slices.Sort(names)
	return names
}

func TestEveryCommandTravels(t *testing.T) {
	t.Parallel()
	require.Equal(t, receivers(t, "isCommand"), slices.Sorted(maps.Keys(commands)))
	for name, typ := range commands {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newFiller(t)
			rapid.Check(t, func(rt *rapid.T) {
				sent := &Request{
					ID: rapid.String().Draw(rt, "id"), Command: g.value(rt, typ).Addr().Interface().(lock.Command),
					Deadline: time.Now().Add(time.Minute),
				}
				incoming := travel(rt, sent).(*actorspb.IncomingRequest)
				got, err := requestOf(incoming)
				require.NoError(rt, err)
				require.WithinDuration(rt, sent.Deadline, got.Deadline, 5*time.Second)
				got.Deadline = sent.Deadline
				readAgain(rt, got.Command, sent.Command)
				require.Equal(rt, sent, got)
				again, err := incoming.Serialize()
				require.NoError(rt, err)
				require.True(rt, proto.Equal(incoming.Request, again.(proto.Message)))
			})
		})
	}
}

// readAgain puts the reading of a device's clock that was sent in place of the one that came in, which says the same of a
// later instant.
func readAgain(t require.TestingT, got, sent lock.Command) {
	var a, b *lock.Clock
	switch got := got.(type) {
	case *lock.ConnectDevice:
		a, b = &got.Device.Clock, &sent.(*lock.ConnectDevice).Device.Clock
	case *lock.KeepDevice:
		a, b = &got.Device.Clock, &sent.(*lock.KeepDevice).Device.Clock
	default:
		return
	}
	if !b.At.IsZero() {
		require.WithinDuration(t, time.Now(), a.At, 5*time.Second)
		require.InDelta(t, b.NotAfter(time.Now()), a.Mono, 5000)
		*a = *b
	}
}

func TestEveryReplyTravels(t *testing.T) {
	t.Parallel()
	require.Equal(t, receivers(t, "isReply"), slices.Sorted(maps.Keys(replies)))
	for name, typ := range replies {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newFiller(t)
			rapid.Check(t, func(rt *rapid.T) {
				sent := &Response{Reply: g.value(rt, typ).Addr().Interface().(lock.Reply)}
				got, err := responseOf(travel(rt, sent).(*actorspb.Response))
				require.NoError(rt, err)
				require.Equal(rt, sent, got)
			})
		})
	}
}

func TestARejectionTravels(t *testing.T) {
	t.Parallel()
	g := newFiller(t)
	rapid.Check(t, func(rt *rapid.T) {
		e := g.value(rt, reflect.TypeFor[lock.Error]()).Addr().Interface().(*lock.Error)
		got, err := responseOf(travel(rt, &Response{Err: e}).(*actorspb.Response))
		require.NoError(rt, err)
		require.Equal(rt, e, got.Err)
	})
}

func TestARequestWithoutDeadlineTravels(t *testing.T) {
	t.Parallel()
	got, err := requestOf(travel(t, &Request{Command: &lock.Tick{}}).(*actorspb.IncomingRequest))
	require.NoError(t, err)
	require.True(t, got.Deadline.IsZero())
	late, err := requestOf(travel(t, &Request{Command: &lock.Tick{}, Deadline: time.Now().Add(-time.Hour)}).(*actorspb.IncomingRequest))
	require.NoError(t, err)
	require.False(t, late.Deadline.IsZero())
	require.WithinDuration(t, time.Now(), late.Deadline, 5*time.Second)
}

func TestWhatIsUnknownIsRefused(t *testing.T) {
	t.Parallel()
	_, err := requestOf(&actorspb.IncomingRequest{Request: &actorspb.Request{}})
	require.ErrorContains(t, err, "without a command")
	_, err = responseOf(&actorspb.Response{})
	require.ErrorContains(t, err, "without an answer")
	_, err = (&Request{Command: struct{ *lock.Tick }{}}).Serialize()
	require.ErrorContains(t, err, "cannot travel")
	_, err = (&Response{Reply: struct{ *lock.Done }{}}).Serialize()
	require.ErrorContains(t, err, "cannot travel")
	event := &actorspb.Event{Type: "FromTheFuture", Data: []byte("{}")}
	for _, r := range []*actorspb.Response{
		{Answer: &actorspb.Response_Done{Done: &actorspb.Done{Event: event}}},
		{Answer: &actorspb.Response_OpenResult{OpenResult: &actorspb.OpenResult{Event: event}}},
		{Answer: &actorspb.Response_OpenResult{OpenResult: &actorspb.OpenResult{Event: &actorspb.Event{Type: "LockOpened", Data: []byte("{}")}}}},
		{Answer: &actorspb.Response_TempKeyInfo{TempKeyInfo: &actorspb.TempKeyInfo{Open: &actorspb.OpenResult{Event: event}}}},
	} {
		_, err := responseOf(r)
		require.Error(t, err)
	}
}

// An empty message of every kind must not bring the reader down: other versions may leave fields out.
func TestEmptyMessagesAreRead(t *testing.T) {
	t.Parallel()
	for _, m := range []proto.Message{&actorspb.Request{}, &actorspb.Response{}} {
		oneof := m.ProtoReflect().Descriptor().Oneofs().Get(0).Fields()
		for i := range oneof.Len() {
			empty := m.ProtoReflect().New()
			empty.Set(oneof.Get(i), empty.NewField(oneof.Get(i)))
			var err error
			switch x := empty.Interface().(type) {
			case *actorspb.Request:
				_, err = requestOf(&actorspb.IncomingRequest{Request: x})
			case *actorspb.Response:
				_, err = responseOf(x)
			}
			require.NoError(t, err, oneof.Get(i).Name())
		}
	}
}

// travel takes a message through what the remote does with it.
func travel(t require.TestingT, m remote.RootSerializable) any {
	wire, err := m.Serialize()
	require.NoError(t, err)
	data, typ, err := remote.Serialize(wire, remote.DefaultSerializerID)
	require.NoError(t, err)
	got, err := remote.Deserialize(data, typ, remote.DefaultSerializerID)
	require.NoError(t, err)
	in, err := got.(remote.RootSerialized).Deserialize()
	require.NoError(t, err)
	return in
}

// filler draws values of lock's types, with every field set, so that a field that does not travel is found.
type filler struct {
	events []string
}

func newFiller(t *testing.T) *filler {
	f := new(filler)
	for _, name := range receivers(t, "EventType") {
		if e, err := lock.UnmarshalEvent(name, []byte("{}")); err == nil && lock.Journaled(e) {
			f.events = append(f.events, name)
		}
	}
	require.NotEmpty(t, f.events)
	return f
}

func (f *filler) value(t *rapid.T, typ reflect.Type) reflect.Value {
	v := reflect.New(typ).Elem()
	f.fill(t, v, typ.Name())
	return v
}

func (f *filler) fill(t *rapid.T, v reflect.Value, name string) {
	switch v.Type() {
	case reflect.TypeFor[lock.Command]():
		typ := commands[rapid.SampledFrom([]string{"SetOwner", "CreateTempKey", "DeleteTempKey", "CreateTempKeys"}).Draw(t, name)]
		v.Set(f.value(t, typ).Addr())
		return
	case reflect.TypeFor[time.Time]():
		ms := rapid.Int64Range(0, 4e12).Draw(t, name)
		v.Set(reflect.ValueOf(time.UnixMilli(ms).UTC()))
		return
	// Schedules travel as the journal has them, which knows no impossible times.
	case reflect.TypeFor[lock.TimeOfDay](), reflect.TypeFor[lock.Date]():
		v.SetInt(rapid.Int64Range(0, 24*60).Draw(t, name))
		return
	case reflect.TypeFor[lock.Weekdays]():
		v.SetUint(rapid.Uint64Range(1, 1<<7-1).Draw(t, name))
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(t, name))
	case reflect.Int, reflect.Int64:
		v.SetInt(rapid.Int64().Draw(t, name))
	case reflect.Uint8:
		v.SetUint(uint64(rapid.Uint8().Draw(t, name)))
	case reflect.Uint64:
		v.SetUint(rapid.Uint64().Draw(t, name))
	case reflect.String:
		v.SetString(rapid.String().Draw(t, name))
	case reflect.Slice:
		least := 0
		if strings.HasPrefix(name, "*") {
			least = 1 // JSON does not tell a pointer to nothing from nothing
		}
		n := rapid.IntRange(least, 3).Draw(t, name+" length")
		for range n {
			e := reflect.New(v.Type().Elem()).Elem()
			f.fill(t, e, name+" element")
			v.Set(reflect.Append(v, e))
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for range rapid.IntRange(0, 3).Draw(t, name+" length") {
			key, e := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			f.fill(t, key, name+" key")
			f.fill(t, e, name+" element")
			v.SetMapIndex(key, e)
		}
	case reflect.Pointer:
		if rapid.Bool().Draw(t, name+" is set") {
			v.Set(reflect.New(v.Type().Elem()))
			f.fill(t, v.Elem(), "*"+name)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			f.fill(t, v.Field(i), v.Type().Field(i).Name)
		}
	case reflect.Interface:
		if typ := rapid.SampledFrom(append(f.events, "")).Draw(t, name); typ != "" {
			e, err := lock.UnmarshalEvent(typ, []byte("{}"))
			require.NoError(t, err)
			f.fill(t, reflect.ValueOf(e).Elem(), typ)
			v.Set(reflect.ValueOf(e))
		}
	default:
		t.Fatalf("no values of kind %s for %s", v.Kind(), name)
	}
}
