package named

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
	form.Check(t, *update, map[string]any{RecordType: Remembered{}})
}

// The mark in a stream of ours is read as a whole. In the others its owner tells what else is in the record.
func TestWhatANewerProgramWroteIsRefused(t *testing.T) {
	t.Parallel()
	r := journal.Record{Stream: StreamPrefix + "x", Type: RecordType, Data: []byte(`{"of":"super","key":"k","later":1}`)}
	_, err := Read(&r)
	require.ErrorIs(t, err, lock.ErrNewer)
	r.Stream = "org/acme"
	m, err := Read(&r)
	require.NoError(t, err)
	require.Equal(t, "k", m.Key)
}
