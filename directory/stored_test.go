package directory

import (
	"flag"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/internal/form"
	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/lock"
)

var update = flag.Bool("update", false, "write anew what is stored")

func TestWhatIsStored(t *testing.T) {
	t.Parallel()
	form.Check(t, *update, map[string]any{recordCreated: record{}, recordContact: record{}})
}

// A user of whom a newer program knows more must not look like another one.
func TestWhatANewerProgramWroteIsRefused(t *testing.T) {
	t.Parallel()
	for _, r := range []journal.Record{
		{Type: recordCreated, Data: []byte(`{"userId":"u","later":1}`)}, {Type: recordContact, Data: []byte(`{"later":1}`)},
		{Type: "UserPainted", Data: []byte(`{}`)},
	} {
		_, _, err := userOf(streamPrefix+"u", []journal.Record{r})
		require.ErrorIs(t, err, lock.ErrNewer, r.Type)
	}
}
