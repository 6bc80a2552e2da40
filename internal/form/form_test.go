package form_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/internal/form"
)

type inner struct {
	Deep uint8 `json:"deep"`
}

type stamp struct {
	At time.Time `json:"at"`
}

type record struct {
	stamp
	Name   string          `json:"name,omitempty"`
	Parts  []*inner        `json:"parts"`
	Counts map[string]bool `json:"counts"`
	Hidden int             `json:"-"`
	Bare   *int64
	own    int
}

func TestEveryFieldIsDescribed(t *testing.T) {
	t.Parallel()
	require.Equal(t, `codec: "form-2"
made: *form_test.record

form_test.record
	at time.Time, which writes itself
	name string omitempty
	parts []*form_test.inner
	counts map of string to bool
	Bare *int64

form_test.inner
	deep uint8
`, form.Describe(map[string]any{"made": &record{own: 1}, "codec": "form-2"}))
}

// Whatever an older program would not know, or take for something else, has to show.
func TestEachChangeShows(t *testing.T) {
	t.Parallel()
	describe := func(v any) string { return form.Describe(map[string]any{"x": v}) }
	before := describe(struct {
		A string `json:"a"`
	}{})
	for _, changed := range []any{
		struct {
			A string `json:"b"`
		}{},
		struct {
			A int `json:"a"`
		}{},
		struct {
			A string `json:"a,omitempty"`
		}{},
		struct {
			A []string `json:"a"`
		}{},
		struct {
			A string `json:"a"`
			B bool   `json:"b"`
		}{},
	} {
		require.NotEqual(t, before, describe(changed))
	}
	require.NotEqual(t, describe(record{}), form.Describe(map[string]any{"y": record{}}), "so does a record of another name")
}
