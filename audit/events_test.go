package audit_test

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/lock"
	"github.com/latchkey/latchkey/tenant"
)

// eventTable is a table of docs/events.md: whose a type of event is, and its fields.
type eventTable map[string]struct {
	of     string
	fields []string
}

var inCode = regexp.MustCompile("`([^`]+)`")

// eventTables reads the tables of docs/events.md: that of locks, and that of organisations.
func eventTables(t *testing.T) (tables []eventTable) {
	t.Helper()
	data, err := os.ReadFile("../docs/events.md")
	require.NoError(t, err)
	for line := range strings.Lines(string(data)) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		switch {
		case len(cells) != 6:
		case strings.TrimSpace(cells[1]) == "type":
			tables = append(tables, eventTable{})
		case strings.HasPrefix(cells[1], " `"):
			table, typ := tables[len(tables)-1], strings.Trim(cells[1], " `")
			require.NotContains(t, table, typ)
			row := table[typ]
			row.of = strings.TrimSpace(cells[2])
			for _, field := range inCode.FindAllStringSubmatch(cells[3], -1) {
				row.fields = append(row.fields, field[1])
			}
			slices.Sort(row.fields)
			table[typ] = row
		}
	}
	return tables
}

// textsOfTheCode are all texts in the packages that make events: the types of the events are among them.
func textsOfTheCode(t *testing.T) map[string]bool {
	t.Helper()
	texts := map[string]bool{}
	for _, folder := range []string{"lock", "tenant", "named"} {
		paths, err := filepath.Glob(filepath.Join("..", folder, "*.go"))
		require.NoError(t, err)
		for _, path := range paths {
			file, err := parser.ParseFile(gotoken.NewFileSet(), path, nil, parser.SkipObjectResolution)
			require.NoError(t, err)
			ast.Inspect(file, func(n ast.Node) bool {
				if text, ok := n.(*ast.BasicLit); ok && text.Kind == gotoken.STRING {
					s, _ := strconv.Unquote(text.Value)
					texts[s] = true
				}
				return true
			})
		}
	}
	return texts
}

// fill sets all that can be set of a value to something that is not empty.
func fill(v reflect.Value) {
	if !v.CanSet() {
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString("x")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(1)
	case reflect.Uint8, reflect.Uint64:
		v.SetUint(1)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0))
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.UnixMilli(1_777_777_777_123)))
			return
		}
		for i := range v.NumField() {
			fill(v.Field(i))
		}
	}
}

// payloadFields are the fields that an event can have, but for those that all have.
func payloadFields(event any, public func() map[string]any, common ...string) (fields []string) {
	all := map[string]bool{}
	for range 2 { // empty, then full
		for field := range public() {
			all[field] = true
		}
		fill(reflect.ValueOf(event).Elem())
	}
	for field := range all {
		if !slices.Contains(common, field) {
			fields = append(fields, field)
		}
	}
	slices.Sort(fields)
	return fields
}

// Every type of event that can be read from the journal is in docs/events.md, with all its fields and no others, and nothing else is.
func TestEveryEventIsDocumented(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../api/testdata/reference-events.json")
	require.NoError(t, err)
	var reference struct{ Events map[string]any }
	require.NoError(t, json.Unmarshal(data, &reference))
	tables := eventTables(t)
	require.Len(t, tables, 2)
	locks, organizations := 0, 0
	for typ := range textsOfTheCode(t) {
		if e, err := lock.UnmarshalEvent(typ, []byte("{}")); err == nil {
			locks++
			row, ok := tables[0][typ]
			require.True(t, ok, "docs/events.md should have the lock's event %s", typ)
			fields := payloadFields(e, func() map[string]any { _, data := lock.PublicEvent(1, e); return data }, "lockId", "uuid", "lockUuid", "timestamp")
			require.Equal(t, fields, row.fields, typ)
			_, known := reference.Events[typ]
			require.Equal(t, known, row.of == "reference", typ)
		}
		if e, err := tenant.ReadEvent(&journal.Record{Type: typ, Data: []byte("{}")}); err == nil {
			organizations++
			row, ok := tables[1][typ]
			require.True(t, ok, "docs/events.md should have the organisation's event %s", typ)
			fields := payloadFields(e, func() map[string]any { _, data := tenant.PublicEvent(e); return data }, "orgId", "timestamp")
			require.Equal(t, fields, row.fields, typ)
		}
	}
	require.Len(t, tables[0], locks, "docs/events.md has events that no lock has")
	require.Len(t, tables[1], organizations, "docs/events.md has events that no organisation has")
	require.GreaterOrEqual(t, locks, len(reference.Events))
}
