package wire_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/transport/wire"
)

func TestFramesReadAndWriteAgain(t *testing.T) {
	t.Parallel()
	call := wire.AppendCall(nil, "b9", wire.ActionHeartbeat, &wire.Heartbeat{Mono: 865000})
	require.Equal(t, `[2,"b9","Heartbeat",{"mono":865000}]`, string(call))
	f, err := wire.ParseFrame(call)
	require.NoError(t, err)
	require.Equal(t, wire.Call, f.Kind)
	require.Equal(t, "b9", string(f.ID))
	require.Equal(t, wire.ActionHeartbeat, string(f.Action))
	require.Equal(t, `{"mono":865000}`, string(f.Payload))

	result := wire.AppendResult(nil, "b9", wire.Empty{})
	require.Equal(t, `[3,"b9",{}]`, string(result))
	f, err = wire.ParseFrame(result)
	require.NoError(t, err)
	require.Equal(t, wire.Result, f.Kind)

	refusal := wire.AppendError(nil, "m7", wire.CodeExpired, "deadline \"passed\"", &wire.Details{CommandID: "c901", Executed: wire.NotExecuted})
	require.Equal(t, `[4,"m7","Expired","deadline \"passed\"",{"commandId":"c901","executed":false}]`, string(refusal))
	f, err = wire.ParseFrame(refusal)
	require.NoError(t, err)
	require.Equal(t, wire.Error, f.Kind)
	require.Equal(t, wire.CodeExpired, string(f.Code))
	require.Equal(t, `deadline "passed"`, f.Description)
}

func TestFramesThatAreRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		``, `{}`, `[]`, `[2]`, `null`, `hello`,
		`[1,"a",{}]`, `[5,"a",{}]`, `[2.0,"a","Open",{}]`, `["2","a","Open",{}]`,
		`[2,"","Open",{}]`, `[2,7,"Open",{}]`, `[2,"a b","Open",{}]`, `[2,"a\n","Open",{}]`, `[2,"é","Open",{}]`,
		`[2,"` + strings.Repeat("a", 37) + `","Open",{}]`,
		`[2,"a",{}]`, `[2,"a","Open"]`, `[2,"a","Open",[]]`, `[2,"a","Open",null]`, `[2,"a","Open",{},{}]`,
		`[2,"a","Open",{}]]`, `[2,"a","Open",{}] x`, `[2,"a","Open",{"x":}]`, `[2,"a","Open",{"x":tru}]`, `[2,"a","Open",{"x":-}]`,
		`[2,"a","Open",{"x":"\u12"}]`, `[2,"a","Open",{"x":"\q"}]`, `[2,"a","Open",{"x":"` + "\x01" + `"}]`, `[2,"a","Open",{"x":"`,
		`[2,"a","Open",{"x":1.}]`, `[2,"a","Open",{"x":1e}]`, `[2,"a","Open",{"x":01}]`, `[2,"a","Open",{x:1}]`, `[2,"a","Open",{"x":1 "y":2}]`,
		`[3,"a","Open",{}]`, `[4,"a","Code",{}]`, `[4,"a","Code","why"]`, `[4,"a","","why",{}]`,
		"[2,\"a\",\"Open\",{\"x\":\"\xff\"}]",
		`[2,"a","Open",{"x":"` + strings.Repeat("a", wire.MaxFrame) + `"}]`,
		`[2,"a","Open",{"x":` + strings.Repeat("[", 4000) + `}]`,
	} {
		f, err := wire.ParseFrame([]byte(text))
		require.ErrorIs(t, err, wire.ErrFormat, text)
		require.Zero(t, f)
	}
}

func TestHotFramesAllocateLittle(t *testing.T) {
	for _, c := range []struct {
		name  string
		frame string
		into  parser
		most  float64
	}{
		{"heartbeat", `[2,"b9","Heartbeat",{"mono":865000}]`, new(wire.Heartbeat), 0},
		{"opened", `[3,"m7",{"commandId":"c901","outcome":"opened","bolt":"unlocked","mono":842101}]`, new(wire.OpenResult), 2},
		{"open", `[2,"m7","Open",{"commandId":"c901","session":"s55","epoch":1043,"bootId":"b7","notAfterMono":845200}]`, new(wire.Open), 3},
	} {
		b := []byte(c.frame)
		allocs := testing.AllocsPerRun(100, func() {
			f, err := wire.ParseFrame(b)
			if err != nil || c.into.Parse(f.Payload) != nil {
				t.Fatal(c.name)
			}
		})
		require.LessOrEqual(t, allocs, c.most, c.name)
	}
}

func BenchmarkHeartbeat(b *testing.B) {
	frame := []byte(`[2,"b9","Heartbeat",{"mono":865000}]`)
	dst := make([]byte, 0, 256)
	b.ReportAllocs()
	for b.Loop() {
		f, _ := wire.ParseFrame(frame)
		var h wire.Heartbeat
		_ = h.Parse(f.Payload)
		dst = wire.AppendResult(dst[:0], "b9", wire.Empty{})
	}
}

func BenchmarkOpen(b *testing.B) {
	answer := []byte(`[3,"m7",{"commandId":"c901","outcome":"opened","bolt":"unlocked","mono":842101}]`)
	dst := make([]byte, 0, 256)
	b.ReportAllocs()
	for b.Loop() {
		dst = wire.AppendCall(dst[:0], "m7", wire.ActionOpen, &wire.Open{CommandID: "c901", Session: "s55", Epoch: 1043, BootID: "b7", NotAfterMono: 845200})
		f, _ := wire.ParseFrame(answer)
		var r wire.OpenResult
		_ = r.Parse(f.Payload)
	}
}
