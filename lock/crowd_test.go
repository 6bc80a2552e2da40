package lock

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Whoever opens a lock again and again makes it forget what they asked for themselves, and few of the others' requests.
func TestOneHolderMakesTheLogForgetTheirOwn(t *testing.T) {
	t.Parallel()
	sh := newShell(t)
	sh.connect()
	sh.must(&CreateTempKey{By: Caller{Super: true}, UUID: name(2), AccessMode: Public, ValidFrom: noon, ValidUntil: noon.Add(time.Hour)})
	replay, err := UnmarshalState([]byte(marshal(t, sh.s)))
	require.NoError(t, err)
	do := func(c Command) Reply {
		t.Helper()
		d, err := Decide(sh.s, c, sh.now)
		require.NoError(t, err)
		for _, e := range d.Events {
			typ, data, err := MarshalEvent(e)
			require.NoError(t, err)
			again, err := UnmarshalEvent(typ, data)
			require.NoError(t, err)
			Evolve(sh.s, e)
			Evolve(replay, again)
		}
		return d.Reply
	}
	open := func(key TempKeyID, id string) *OpenResult {
		t.Helper()
		c := &OpenWithTempKey{TempKeyID: key, RequestID: RequestID(id), CommandID: CommandID("c-" + id), Lifetime: 5 * time.Second}
		r := do(c).(*OpenResult)
		if !r.Replayed {
			do(&AnswerOpen{CommandID: r.CommandID, Opened: true})
		}
		return r
	}
	platform := &OpenLock{By: Caller{Super: true}, RequestID: "platform", CommandID: "p", Lifetime: 5 * time.Second}
	do(platform)
	do(&AnswerOpen{CommandID: "p", Opened: true})
	open(name(2), "victim")
	for i := range requestsMax + 50 {
		open(name(1), fmt.Sprintf("flood-%d", i))
	}
	require.Equal(t, requestsMax, sh.s.Requests.len())
	again := *platform
	again.CommandID = "p2"
	require.True(t, do(&again).(*OpenResult).Replayed)
	victim := &OpenWithTempKey{TempKeyID: name(2), RequestID: "victim", CommandID: "v2", Lifetime: 5 * time.Second}
	require.True(t, do(victim).(*OpenResult).Replayed)
	_, ok := sh.s.OpenResult("flood-0")
	require.False(t, ok, "a key with its share takes the places of its own")
	_, ok = sh.s.OpenResult(RequestID(fmt.Sprintf("flood-%d", requestsMax+49)))
	require.True(t, ok)
	require.Equal(t, marshal(t, sh.s), marshal(t, replay), "a replay forgets the same ones")

	loaded, err := UnmarshalState([]byte(marshal(t, sh.s)))
	require.NoError(t, err)
	require.Equal(t, sh.s.Requests.holders, loaded.Requests.holders)
	require.Equal(t, map[string]int{"k" + string(name(1)): requestsMax - 2, "k" + string(name(2)): 1, "bsuper": 1}, loaded.Requests.holders)

	// Who has less than a share takes the place of the oldest.
	require.NotZero(t, sh.s.Requests.crowd(name(1), "", sh.now))
	require.Zero(t, sh.s.Requests.crowd(name(2), "", sh.now))

	// After a day the oldest make room again, whosever they are.
	sh.now = sh.now.Add(requestsKeptFor + time.Millisecond)
	require.Zero(t, sh.s.Requests.crowd(name(1), "", sh.now))
}

// Records from before the rule say nothing of whom they forget: that is the oldest.
func TestRecordsOfBeforeForgetTheOldest(t *testing.T) {
	t.Parallel()
	s := new(State)
	for i := range requestsMax + 1 {
		id := fmt.Sprint(i)
		e := &LockOpenRequested{Stamp: Stamp{At: noon}, RequestID: RequestID(id), CommandID: CommandID(id), TempKeyID: name(min(i, 1)), Deadline: noon}
		Evolve(s, e)
		Evolve(s, &LockOpened{Stamp: Stamp{At: noon}, CommandID: CommandID(id)})
	}
	_, ok := s.OpenResult("0")
	require.False(t, ok)
	_, ok = s.OpenResult("1")
	require.True(t, ok)
}
