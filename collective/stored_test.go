package collective

import (
	"flag"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/internal/form"
	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/lock"
)

var update = flag.Bool("update", false, "write anew what is stored")

func TestWhatIsStored(t *testing.T) {
	t.Parallel()
	types := map[string]any{pinKeyChosen: new(chosen)}
	for _, e := range []any{new(requested), new(granted), new(remembered), new(abandoned), new(revoking), new(ended)} {
		record, err := newRecord(e, time.Now())
		require.NoError(t, err)
		types[record.Type] = e
	}
	form.Check(t, *update, types)
}

// Half of what a newer program says of a key for several doors could open one of them too often.
func TestWhatANewerProgramWroteIsRefused(t *testing.T) {
	t.Parallel()
	for _, r := range []journal.Record{
		{Type: "CollectiveKeyRequested", Data: []byte(`{"later":1}`)}, {Type: "CollectiveKeyRequested", Data: []byte(`{"doors":[{"later":1}]}`)},
		{Type: "CollectiveKeyEnded", Data: []byte(`{"later":1}`)}, {Type: "CollectiveKeyPainted", Data: []byte(`{}`)},
	} {
		_, err := readRecord(&r)
		require.ErrorIs(t, err, lock.ErrNewer, r.Type)
	}
	for _, r := range []journal.Record{{Type: pinKeyChosen, Data: []byte(`{"later":1}`)}, {Type: "PINKeyPainted", Data: []byte(`{}`)}} {
		_, err := ReadFingerprint(&r)
		require.ErrorIs(t, err, lock.ErrNewer, r.Type)
	}
}
