package actors

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/journal"
)

func TestTheTotalIsTrueAfterTheLastEvent(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, j journal.Journal) {
		w := start(t, j, nil)
		id := w.newLock()
		w.newKey(id, 1)
		for after, want := range map[uint64]int{0: 2, 1: 1, 2: 0, 3: 0, 700: 0} {
			records, total, err := w.Events(t.Context(), id, after, 100)
			require.NoError(t, err)
			require.Len(t, records, want)
			require.EqualValues(t, 2, total, "after %d", after)
		}
		_, total, err := w.Events(t.Context(), id+1, 100, 100)
		require.NoError(t, err)
		require.Zero(t, total)
	})
}
