package lock

import (
	"slices"
	"strconv"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// The steps about permanent keys. The model is the device's own table: a list of UUIDs.

func someCard(t *rapid.T) Key {
	n := rapid.IntRange(1, 3).Draw(t, "card")
	k := Key{UUID: "card-" + strconv.Itoa(n)}
	if index := rapid.Int64Range(0, 2).Draw(t, "index"); index > 0 {
		k.IndexNumber = &index // sometimes that of another card
	}
	return k
}

func (w *world) changeCard(t *rapid.T) {
	k, id, by := someCard(t), CommandID(w.next("k")), Caller{OrgID: "acme"}
	var c Command
	switch rapid.SampledFrom([]string{"add", "remove", "write"}).Draw(t, "change") {
	case "add":
		c = &AddKey{By: by, Key: k, CommandID: id}
	case "remove":
		c = &RemoveKey{By: by, KeyUUID: k.UUID, CommandID: id}
	default:
		c = &WriteKey{By: by, KeyUUID: k.UUID, CommandID: id}
	}
	t.Logf("    %T %s by %s", c, k.UUID, id)
	w.do(t, c, nil)
}

// cardOnTheGo changes a card and lets that arrive at the device, if there is one.
func (w *world) cardOnTheGo(t *rapid.T) {
	w.changeCard(t)
	w.commit(t, len(w.staged))
	for range w.pending() {
		w.effect(t)
	}
	if rapid.Bool().Draw(t, "device reads") {
		w.deviceReads(t)
	}
}

func (w *world) bulkCards(t *rapid.T) {
	c := &BulkAddKeys{By: Caller{OrgID: "acme"}, Job: JobID(w.next("j"))}
	for range rapid.IntRange(1, 3).Draw(t, "keys") {
		if k := someCard(t); !clash(c.Keys, k) {
			c.Keys = append(c.Keys, k)
		}
	}
	t.Logf("    %s adds %d keys", c.Job, len(c.Keys))
	w.do(t, c, nil)
}

// replace gives the lock another device. The old one may be anywhere in what it was doing, and is not heard any more.
func (w *world) replace(t *rapid.T) {
	w.commit(t, len(w.staged))
	uuid := deviceUUID("u" + strconv.Itoa(len(w.next(""))+w.ids))
	if step := w.do(t, &ChangeLockUUID{By: Caller{Super: true}, NewUUID: uuid}, nil); step.err != nil {
		return
	}
	t.Logf("    now %s", uuid)
	d := &w.device
	d.reboot()
	d.table, d.lost, d.epoch, d.seen = nil, false, 0, map[CommandID]CommandStatus{}
	for _, s := range w.sockets {
		s.alive, s.down, s.up = false, nil, nil
	}
	w.commit(t, len(w.staged))
}

// checkTable holds what the lock says of its keys against the device's table.
func (w *world) checkTable(t *rapid.T) {
	onTheWay := func(uuid string) bool {
		return slices.ContainsFunc(w.s.keys().Commands, func(c *KeyCommand) bool { return c.Key.UUID == uuid })
	}
	for _, card := range w.device.table {
		listed := slices.ContainsFunc(w.s.Keys, func(k Key) bool { return k.UUID == card && k.OnDevice != "" })
		require.True(t, listed || onTheWay(card), "%s opens the door, and the lock does not say so", card)
	}
	for _, k := range w.s.Keys {
		if k.OnDevice == OnDevice && !onTheWay(k.UUID) {
			require.Contains(t, w.device.table, k.UUID, "the device is said to have it")
		}
	}
	for i, k := range w.s.Keys {
		require.False(t, clash(w.s.Keys[:i], k), "%s is in the way of another key", k.UUID)
	}
	require.LessOrEqual(t, len(w.s.keys().Commands), maxKeyCommands)
	require.LessOrEqual(t, len(w.s.keys().Ended), keyResultsKept)
}

// key is what protocol.md tells a device to do with a command about a key, and what may go wrong in between.
func (d *device) key(t *rapid.T, s *socket, e *SendKey, fate string) *AnswerKey {
	t.Logf("    device reads %s %s %s of session %d, and %s", e.Action, e.CommandID, e.Key.UUID, e.Session.ID, fate)
	refuse := func(code string) *AnswerKey { return &AnswerKey{Executed: NotExecuted, Code: code} }
	switch {
	case d.seen[e.CommandID] == CommandExecuted:
		return &AnswerKey{Done: true}
	case d.seen[e.CommandID] == CommandRefused:
		return refuse("NoSpace")
	case s != d.socket || e.Session != s.session:
		return refuse("StaleSession")
	case e.BootID != string(rune('a'+d.boot)):
		return refuse("BootMismatch")
	case e.Epoch < d.epoch:
		return refuse("StaleEpoch")
	case d.w.now.Add(-d.behind).After(e.NotAfter):
		return refuse("Expired")
	}
	if fate == "reboots before" {
		d.reboot()
		return nil
	}
	d.epoch = e.Epoch
	if fate == "jams" {
		d.seen[e.CommandID] = CommandRefused
		return refuse("NoSpace")
	}
	if fate == "cannot tell" {
		d.seen[e.CommandID] = CommandJournalLost
		return &AnswerKey{Executed: ExecutedUnknown, Code: "Internal"}
	}
	d.table = slices.DeleteFunc(d.table, func(uuid string) bool { return uuid == e.Key.UUID })
	if e.Action != ActionRemoveKey {
		d.table = append(d.table, e.Key.UUID)
	}
	d.seen[e.CommandID] = CommandExecuted
	switch fate {
	case "jams halfway": // the table may not be durable, so the journal still says that it started
		d.seen[e.CommandID] = CommandJournalLost
		return &AnswerKey{Executed: ExecutedUnknown, Code: "Internal"}
	case "jams halfway, loses its answer":
		d.seen[e.CommandID] = CommandMoved
		return nil
	case "reboots halfway": // the table comes after the start in the journal, and before the end
		d.seen[e.CommandID] = CommandJournalLost
		d.reboot()
		return nil
	case "reboots after":
		d.reboot()
		return nil
	case "loses its answer":
		return nil
	}
	return &AnswerKey{Done: true}
}
