package actors

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/cluster"
	"github.com/latchkey/latchkey/lock"
)

// flaky is a Node that gives one request after the other what there is for it.
type flaky struct {
	Node
	results []any // an error, or an answer
}

func (n *flaky) Request(context.Context, string, string, any) (any, error) {
	r := n.results[0]
	n.results = n.results[1:]
	if err, failed := r.(error); failed {
		return nil, err
	}
	return r, nil
}

func (*flaky) Listen(string, func(any)) {}

// A request whose node was lost is sent again. That nothing came of the second one says nothing of the first.
func TestASecondSendDoesNotHideTheFirst(t *testing.T) {
	t.Parallel()
	opened := &Response{Reply: &lock.OpenResult{Outcome: lock.Opened}}
	busy := &Response{Err: &lock.Error{Kind: lock.Busy, Reason: "lock-busy"}}
	full := &Response{Err: &lock.Error{Kind: lock.Forbidden, Reason: "temp-key-used-up"}}
	for name, c := range map[string]struct {
		results []any
		want    error // nil: the last answer counts
	}{
		"the answer comes":          {[]any{cluster.ErrLost, opened}, nil},
		"a rejection comes":         {[]any{cluster.ErrLost, full}, full.Err},
		"nobody takes the second":   {[]any{cluster.ErrLost, cluster.ErrUnavailable}, cluster.ErrUnknown},
		"no room for the second":    {[]any{cluster.ErrLost, cluster.ErrBusy}, cluster.ErrUnknown},
		"the lock is busy":          {[]any{cluster.ErrLost, cluster.ErrLost, busy}, cluster.ErrUnknown},
		"all are lost":              {[]any{cluster.ErrLost, cluster.ErrLost, cluster.ErrLost}, cluster.ErrUnknown},
		"the grain has stopped":     {[]any{cluster.ErrStopped, opened}, nil},
		"many grains have stopped":  {[]any{cluster.ErrStopped, cluster.ErrStopped, cluster.ErrStopped, cluster.ErrStopped, opened}, nil},
		"and no other can be asked": {[]any{cluster.ErrStopped, cluster.ErrBusy}, cluster.ErrUnknown},
		"nobody takes the only one": {[]any{cluster.ErrUnavailable}, unavailable()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			locks, err := New(Options{Journal: inMemory(t)})
			require.NoError(t, err)
			t.Cleanup(locks.Close)
			n := &flaky{Node: theNode(t), results: c.results}
			locks.Join(n, self, newDoors())
			_, err = locks.Do(t.Context(), 1, &lock.OpenLock{CommandID: "c"})
			switch c.want.(type) {
			case nil:
				require.NoError(t, err)
			case *lock.Error:
				require.Equal(t, c.want, err)
			default:
				require.ErrorIs(t, err, c.want)
			}
			require.Empty(t, n.results)
		})
	}
}
