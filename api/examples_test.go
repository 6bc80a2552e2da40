package api_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Every answer in JSON that openapi.yaml tells of has an example, with a body for who writes a program. Whether the examples are
// as their schemas say is looked at when the document is loaded.
func TestEveryAnswerHasAnExample(t *testing.T) {
	t.Parallel()
	for _, o := range newServer(t).operations() {
		for status, response := range o.entry.Responses.Map() {
			if media := response.Value.Content.Get("application/json"); media != nil && o.id != "GetOpenAPI" && !strings.HasPrefix(o.id, "Show") {
				require.NotNil(t, media.Example, "%s, %s", o.id, status)
			}
		}
	}
}

// shows checks that the document's example of an answer has all that a real one has.
func (o *request) shows(t testing.TB, a *answer) {
	t.Helper()
	response := o.entry.Responses.Status(a.status)
	require.NotNil(t, response, "%s answers %d, which its entry in openapi.yaml does not name", o.id, a.status)
	media := response.Value.Content.Get("application/json")
	if media == nil || o.id == "GetOpenAPI" || a.status >= http.StatusBadRequest {
		return
	}
	data, err := json.Marshal(media.Example)
	require.NoError(t, err)
	var example map[string]any
	require.NoError(t, json.Unmarshal(data, &example))
	has, real := fieldsOf(example, ""), fieldsOf(a.json(), "")
	for _, field := range real {
		require.Contains(t, has, field, "the example of %s, %d, has no %s", o.id, a.status, field)
	}
}

// fieldsOf names the fields of an object and of those in it, but for those of events, which are of many kinds.
func fieldsOf(v any, path string) (names []string) {
	switch v := v.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			names = append(names, path+name)
			if name != "event" {
				names = append(names, fieldsOf(v[name], path+name+".")...)
			}
		}
	case []any:
		for i := range min(len(v), 1) {
			names = append(names, fieldsOf(v[i], path+strconv.Itoa(i)+".")...)
		}
	}
	return names
}
