package actors

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/lock"
)

// When members have come or gone, a grain that has just moved here cannot know yet that its device is connected.
func TestADeviceIsNotTakenForAwayBeforeItCouldTell(t *testing.T) {
	t.Parallel()
	w := start(t, inMemory(t), nil)
	id := w.newLock()
	session := w.doors.add(id, opens)
	byRight := func(request lock.RequestID) lock.Command {
		return &lock.OpenLock{By: owner, RequestID: request, CommandID: lock.CommandID(request), Lifetime: 5 * time.Second}
	}
	_, err := w.Do(t.Context(), id, byRight("before"))
	rejected(t, err, lock.Offline, "device-offline")

	w.MembersChanged()
	opened := w.ask(id, byRight("meanwhile"))
	w.Tell(id, &lock.KeepDevice{Device: lock.Device{Session: session, Deadline: true, Journal: true}})
	answer := <-opened
	require.NoError(t, answer.err)
	require.Equal(t, lock.Opened, answer.reply.(*lock.OpenResult).Outcome)

	w.must(id, &lock.DisconnectDevice{Session: session})
	w.MembersChanged()
	since := time.Now()
	_, err = w.Do(t.Context(), id, byRight("afterwards"))
	rejected(t, err, lock.Offline, "device-offline")
	require.GreaterOrEqual(t, time.Since(since), sessionsTellWithin/2, "it was asked again until it was sure")
}
