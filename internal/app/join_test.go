package app

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/api"
	"github.com/latchkey/latchkey/cluster"
	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/lock"
)

func TestErrorsSayWhetherItMayHaveHappened(t *testing.T) {
	t.Parallel()
	rejection := &lock.Error{Kind: lock.Busy}
	for _, c := range []struct{ err, want error }{
		{nil, nil},
		{rejection, rejection},
		{cluster.ErrTimeout, api.ErrTimeout},
		{cluster.ErrLost, api.ErrTimeout},
		{fmt.Errorf("%w: %w", journal.ErrFailed, journal.ErrUnknown), api.ErrTimeout},
		{journal.ErrFailed, api.ErrUnavailable},
		{journal.ErrClosed, api.ErrUnavailable},
		{journal.ErrDeadline, api.ErrBusy},
	} {
		require.ErrorIs(t, inWordsOfAPI(c.err), c.want)
	}
	other := errors.New("other")
	require.Equal(t, other, inWordsOfAPI(other))
}
