package lock

import (
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// The steps of platforms, guests and time.

func (w *world) pass(t *rapid.T) {
	due, ok := NextDeadline(w.s)
	if ok && due.After(w.now) && rapid.Bool().Draw(t, "to the deadline") {
		w.now = due
	} else {
		w.now = w.now.Add(rapid.SampledFrom([]time.Duration{
			time.Millisecond, 900 * time.Microsecond, 300 * time.Millisecond, time.Second, 3 * time.Second, 5 * time.Second, 12 * time.Second,
		}).Draw(t, "passes"))
	}
	t.Logf("    %s", w.now.Format("15:04:05.000000"))
	if rapid.IntRange(0, 3).Draw(t, "timer") > 0 {
		w.tick(t)
	}
}

// timeOut lets the time run to the next deadline, or just past it, with everything in the journal.
func (w *world) timeOut(t *rapid.T) {
	due, ok := NextDeadline(w.s)
	if ok {
		off := rapid.SampledFrom([]time.Duration{-answerGrace, -answerGrace + 200*time.Millisecond, 0, time.Millisecond}).Draw(t, "off")
		if at := due.Add(off); at.After(w.now) {
			w.now = at
		}
	}
	t.Logf("    %s", w.now.Format("15:04:05.000000"))
	w.tick(t)
	w.commit(t, len(w.staged))
}

func (w *world) tick(t *rapid.T) {
	w.do(t, new(Tick), nil)
	if due, ok := NextDeadline(w.s); ok {
		require.True(t, due.After(w.now), "after a tick nothing may be due")
	}
}

var guests = []UserID{"", "ann", "bob"}

func someKey(t *rapid.T) TempKeyID { return name(rapid.IntRange(1, 2).Draw(t, "key")) }

func someUser(t *rapid.T) UserID { return rapid.SampledFrom(guests).Draw(t, "user") }

// window draws a window around now, often a short one.
func (w *world) window(t *rapid.T) (from, until time.Time) {
	from = w.now.Add(rapid.SampledFrom([]time.Duration{-time.Hour, 0, time.Millisecond, 2 * time.Second}).Draw(t, "from"))
	return from, from.Add(rapid.SampledFrom([]time.Duration{2 * time.Hour, time.Millisecond, 3 * time.Second, 20 * time.Second}).Draw(t, "until"))
}

// someSchedule draws no schedule, or one that opens each other minute. Its hours are looked at without it in world.moved.
func someSchedule(t *rapid.T) *Schedule {
	if rapid.IntRange(0, 2).Draw(t, "schedule") > 0 {
		return nil
	}
	s := &Schedule{TimeZone: "Asia/Kathmandu"} // 5:45 ahead
	for i := range 16 {
		from := TimeOfDay(noon.Add(5*time.Hour+45*time.Minute).Hour()*60+45) + TimeOfDay(2*i)
		s.Rules = append(s.Rules, Rule{Days: everyDay, Hours: Hours{From: from, Until: from + 1}})
	}
	return s
}

func someLimit(t *rapid.T) *int64 {
	if n := rapid.Int64Range(0, 3).Draw(t, "limit"); n > 0 {
		return &n
	}
	return nil
}

func (w *world) createKey(t *rapid.T) {
	c := &CreateTempKey{By: Caller{OrgID: "acme"}, UUID: someKey(t), AccessMode: Public, MaxUses: someLimit(t)}
	c.ValidFrom, c.ValidUntil = w.window(t)
	if u := someUser(t); u != "" {
		c.AccessMode, c.AllowedUserIDs = UserWhitelist, []UserID{u}
	}
	c.Schedule = someSchedule(t)
	t.Logf("    create %s %s %v %s..%s", c.UUID, c.AccessMode, c.AllowedUserIDs, c.ValidFrom.Format(time.TimeOnly), c.ValidUntil.Format(time.TimeOnly))
	w.do(t, c, nil)
}

func (w *world) updateKey(t *rapid.T) {
	c := &UpdateTempKey{By: Caller{OrgID: "acme"}, TempKeyID: someKey(t)}
	from, until := w.window(t)
	what := rapid.SampledFrom([]string{"validFrom", "validUntil", "maxUses", "only ann", "everybody", "schedule"}).Draw(t, "change")
	switch what {
	case "validFrom":
		c.Changes.ValidFrom = &from
	case "validUntil":
		c.Changes.ValidUntil = &until
	case "maxUses":
		c.Changes.MaxUses = &MaxUses{Limit: someLimit(t)}
	case "schedule":
		c.Changes.Schedule = &ScheduleChange{Schedule: someSchedule(t)}
	case "only ann":
		c.Changes.AllowedUserIDs, c.Changes.AccessMode = &[]UserID{guests[1]}, ptr(UserWhitelist)
	case "everybody":
		c.Changes.AllowedUserIDs, c.Changes.AccessMode = new([]UserID), ptr(Public)
	}
	t.Logf("    update %s %s", c.TempKeyID, what)
	for range times(t) {
		step := w.do(t, c, nil)
		step.durable = func() {
			k := w.live[c.TempKeyID]
			if k == nil || step.err != nil {
				return
			}
			version := len(k.terms) - 1
			step.done = func() { k.acked = max(k.acked, version) }
		}
	}
}

// times is how often a client sends a command before it believes that it arrived.
func times(t *rapid.T) int { return rapid.SampledFrom([]int{1, 1, 2}).Draw(t, "times") }

func (w *world) deleteKey(t *rapid.T) {
	c := &DeleteTempKey{By: Caller{OrgID: "acme"}, TempKeyID: someKey(t)}
	t.Logf("    delete %s", c.TempKeyID)
	var gone []*key
	for _, k := range w.keys {
		if k.id == c.TempKeyID {
			gone = append(gone, k)
		}
	}
	// Whoever hears that the key is deleted, or that there is none, believes that it cannot open any more.
	for range times(t) {
		w.do(t, c, func(Decision, error) {
			for _, k := range gone {
				k.revoked = true
			}
		})
	}
}

func (w *world) open(t *rapid.T) {
	c := &OpenWithTempKey{
		By: Caller{UserID: someUser(t)}, TempKeyID: someKey(t), RequestID: RequestID(w.next("r")), CommandID: CommandID(w.next("c")),
		Lifetime: 5 * time.Second, Hold: rapid.SampledFrom([]time.Duration{10 * time.Second, 40 * time.Second}).Draw(t, "hold"),
	}
	t.Logf("    open %s request=%s command=%s user=%s", c.TempKeyID, c.RequestID, c.CommandID, c.By.UserID)
	w.do(t, c, w.answered(t, c.RequestID))
}

func (w *world) openAsOwner(t *rapid.T) {
	c := &OpenLock{By: Caller{OrgID: "acme"}, RequestID: RequestID(w.next("r")), CommandID: CommandID(w.next("c")), Lifetime: 5 * time.Second}
	t.Logf("    open by right request=%s command=%s", c.RequestID, c.CommandID)
	w.do(t, c, w.answered(t, c.RequestID))
}

// openOnTheGo makes an open and lets it arrive at the device, if there is one, where something may go wrong.
func (w *world) openOnTheGo(t *rapid.T) {
	w.open(t)
	w.commit(t, len(w.staged))
	for range w.pending() {
		w.effect(t)
	}
	if rapid.Bool().Draw(t, "device reads") {
		w.deviceReads(t)
	}
}

// reconnect brings the device back, and lets the lock know of it.
func (w *world) reconnect(t *rapid.T) {
	w.connect(t)
	w.receive(t, w.device.socket)
	w.commit(t, len(w.staged))
	for range w.pending() {
		w.effect(t)
	}
}

// repeat sends an earlier request again, with another command ID as a client's retry has.
func (w *world) repeat(t *rapid.T) {
	if len(w.requests) == 0 {
		return
	}
	id := RequestID("r1")
	for n := rapid.IntRange(1, w.ids).Draw(t, "request"); n > 0 && w.requests[id] == nil; n-- {
		id = RequestID("r" + string(rune('0'+n%10)))
	}
	r := w.requests[id]
	if r == nil || r.key == nil {
		return
	}
	t.Logf("    repeat %s", id)
	w.do(t, &OpenWithTempKey{
		By: Caller{UserID: r.user}, TempKeyID: r.key.id, RequestID: id, CommandID: CommandID(w.next("c")),
		Lifetime: 5 * time.Second, Hold: 10 * time.Second,
	}, w.answered(t, id))
}

// answered checks that the same request gets the same command, which is durable by now.
func (w *world) answered(t *rapid.T, id RequestID) func(Decision, error) {
	return func(d Decision, err error) {
		if err != nil {
			return
		}
		result := d.Reply.(*OpenResult)
		require.Equal(t, id, result.RequestID)
		require.NotNil(t, w.requests[id], "%s was answered before it was durable", id)
		require.Equal(t, w.requests[id].command, result.CommandID, "%s got another command", id)
	}
}

func (w *world) commitOne(t *rapid.T) { w.commit(t, min(1, len(w.staged))) }

// flow lets everything that is on its way arrive.
func (w *world) flow(t *rapid.T) {
	for range 5 {
		w.commit(t, len(w.staged))
		for w.effect(t); w.pending() > 0; {
			w.effect(t)
		}
		for _, s := range w.sockets {
			for len(s.down) > 0 {
				w.device.read(t, s, "well")
			}
			for len(s.up) > 0 {
				w.receive(t, s)
			}
		}
	}
}
