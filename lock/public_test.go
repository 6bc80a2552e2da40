package lock

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestPublicEventsKeepToTheReference holds the public form of the events against the reference that the API keeps: all the fields that it
// requires, none that it does not know, and each of its type.
func TestPublicEventsKeepToTheReference(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../api/testdata/reference-events.json")
	require.NoError(t, err)
	type schema struct {
		Type       string
		Properties map[string]json.RawMessage
		Required   []string
	}
	var reference struct{ Events map[string]schema }
	require.NoError(t, json.Unmarshal(data, &reference))

	found := map[string]bool{}
	for _, e := range append(examples(), plain()...) {
		typ, public := PublicEvent(5, e)
		require.Equal(t, e.EventType(), typ)
		data, err := json.Marshal(public)
		require.NoError(t, err)
		require.NotContains(t, string(data), "YWFh", "the hash of a secret must not get out")
		want, ok := reference.Events[typ]
		if !ok {
			continue
		}
		found[typ] = true
		if typ == "TempKeyUpdated" {
			var inner struct{ Properties map[string]json.RawMessage }
			require.NoError(t, json.Unmarshal(want.Properties["changes"], &inner))
			require.NotEmpty(t, inner.Properties)
			for name := range public["changes"].(payload) {
				require.Contains(t, inner.Properties, name, "changes")
			}
		}
		var fields map[string]any
		require.NoError(t, json.Unmarshal(data, &fields))
		for _, name := range want.Required {
			require.Contains(t, fields, name, typ)
		}
		for name, value := range fields {
			require.Contains(t, want.Properties, name, typ)
			var property struct{ Type string }
			require.NoError(t, json.Unmarshal(want.Properties[name], &property))
			switch property.Type {
			case "string":
				require.IsType(t, "", value, "%s.%s", typ, name)
			case "number":
				require.IsType(t, 0.0, value, "%s.%s", typ, name)
			case "array":
				require.IsType(t, []any{}, value, "%s.%s", typ, name)
			case "object":
				require.IsType(t, map[string]any{}, value, "%s.%s", typ, name)
			}
		}
	}
	require.Len(t, found, len(reference.Events), "the reference names an event that the kernel does not make")
}

func TestPublicEventsShowInstantsInUTC(t *testing.T) {
	t.Parallel()
	_, p := PublicEvent(5, &LockOpenSent{Stamp: Stamp{At: noon}, Deadline: clock(t, "2026-05-01T14:00:05.5+02:00")})
	require.Equal(t, "2026-05-01T12:00:00.000Z", p["timestamp"])
	require.Equal(t, "2026-05-01T12:00:05.500Z", p["deadline"])
}
