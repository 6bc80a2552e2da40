package actors

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/actors/actorspb"
	"github.com/latchkey/latchkey/cluster"
	"github.com/latchkey/latchkey/lock"
)

// A grain on a newer node has carried a command out. Whatever this node does not know of the event, nobody hears that nothing was done, or
// the door would be opened again.
func TestAnAnswerOfANewerProgram(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 5, 1, 10, 0, 0, 0, time.UTC)
	for _, told := range []lock.Reply{
		&lock.Done{Version: 3, Event: &lock.OwnerSet{Stamp: lock.Stamp{At: at}, UserID: "ann"}},
		&lock.OpenResult{Version: 3, RequestID: "r", CommandID: "c", Outcome: lock.Opened, At: at, Deadline: at,
			Event: &lock.LockOpenRequested{Stamp: lock.Stamp{At: at}, RequestID: "r", CommandID: "c", Deadline: at}},
	} {
		x := new(actorspb.Response)
		require.NoError(t, putReply(x, told))
		event := x.GetDone().GetEvent()
		if event == nil {
			event = x.GetOpenResult().GetEvent()
		}
		event.Data = bytes.Replace(event.Data, []byte("{"), []byte(`{"why":"not known yet",`), 1)
		r, err := reply(x)
		require.NoError(t, err)
		require.Equal(t, told, r)

		event.Type = "NotKnownYet"
		_, err = reply(x)
		require.ErrorIs(t, err, cluster.ErrUnknown)
	}
}
