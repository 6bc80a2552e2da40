package verify

import (
	"bytes"
	"fmt"

	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/lock"
)

// The index rows of a lock, as its events make them.
const (
	deviceClaim  = "device"
	tempKeyClaim = "temp-key"
	creatorEntry = "temp-key-by-creator"
	jobEntry     = "job"
	jobsRunning  = "running"
)

// lockReplay follows the stream of a lock through the kernel, and holds each event against the promises. It counts the
// uses by itself, so that the kernel is not asked to judge its own work.
type lockReplay struct {
	*checker
	stream string
	state  *lock.State
	keys   map[lock.TempKeyID]*key
	used   map[lock.RequestID]lock.TempKeyID // requests with a use, until their LockOpenRequested
	opens  map[lock.CommandID]*command
}

// key is what is counted of a temporary key.
type key struct {
	createdBy string
	maxUses   *int64
	uses      int64
}

// command is one command to the device.
type command struct {
	requests map[lock.RequestID]*open
	ended    string // as what, once that cannot change any more
}

// open is one request to open.
type open struct {
	key      lock.TempKeyID // empty: by right of owner or organisation
	returned bool
}

func newLockReplay(c *checker, stream string) *lockReplay {
	return &lockReplay{
		checker: c, stream: stream, state: new(lock.State), keys: map[lock.TempKeyID]*key{},
		used: map[lock.RequestID]lock.TempKeyID{}, opens: map[lock.CommandID]*command{},
	}
}

func (l *lockReplay) wrong(r *journal.Record, what string, args ...any) {
	l.found(l.stream, "version %d, %s: %s", r.Version, r.Type, fmt.Sprintf(what, args...))
}

func (l *lockReplay) record(r *journal.Record) (goOn bool) {
	e, err := lock.UnmarshalEvent(r.Type, r.Data)
	if err != nil {
		l.found(l.stream, "version %d cannot be read: %v", r.Version, err)
		return false
	}
	if created, ok := e.(*lock.LockCreated); ok != (r.Version == 1) {
		l.wrong(r, "a lock is created once, by its first event")
	} else if ok && lockPrefix+created.LockID.String() != l.stream {
		l.wrong(r, "it creates the lock %s", created.LockID)
	}
	l.judge(r, e)
	defer func() {
		if p := recover(); p != nil {
			l.wrong(r, "the replay fails: %v", p)
			goOn = false
		}
	}()
	lock.Evolve(l.state, e)
	return true
}

// judge holds an event against what came before it, and notes what it changes in the index.
func (l *lockReplay) judge(r *journal.Record, e lock.Event) {
	switch e := e.(type) {
	case *lock.LockCreated:
		l.claims(r, deviceClaim, string(e.LockUUID))
	case *lock.LockUuidChanged:
		if e.PreviousUUID != l.state.UUID {
			l.wrong(r, "the device before was %s, not %s", l.state.UUID, e.PreviousUUID)
		}
		l.claims(r, deviceClaim, string(e.NewUUID))
	case *lock.BulkAddStarted:
		l.puts(r, jobEntry, jobsRunning, string(e.Job))
	case *lock.BulkAddEnded:
		l.removes(r, jobEntry, jobsRunning, string(e.Job))
	case *lock.TempKeyCreated:
		if l.keys[e.Key.UUID] != nil {
			l.wrong(r, "the key %s is there already", e.Key.UUID)
		}
		l.keys[e.Key.UUID] = &key{createdBy: e.Key.CreatedBy, maxUses: e.Key.MaxUses, uses: e.Key.UsedCount}
		l.claims(r, tempKeyClaim, string(e.Key.UUID))
		l.puts(r, creatorEntry, e.Key.CreatedBy, string(e.Key.UUID))
	case *lock.TempKeyUpdated:
		if k := l.key(r, e.TempKeyID); k != nil && e.Changes.MaxUses != nil {
			k.maxUses = e.Changes.MaxUses.Limit
		}
	case *lock.TempKeyDeleted:
		if k := l.key(r, e.TempKeyID); k != nil {
			l.removes(r, creatorEntry, k.createdBy, string(e.TempKeyID))
			delete(l.keys, e.TempKeyID)
			l.forget(e.TempKeyID)
		}
	case *lock.TempKeyUsed:
		l.use(r, e)
	case *lock.TempKeyUseReturned:
		l.giveBack(r, e)
	case *lock.LockOpenRequested:
		l.request(r, e)
	case *lock.LockOpenSent:
		l.tells(r, l.opens[e.CommandID], e.OpenFor)
	case *lock.LockOpened:
		l.opened(r, e)
	case *lock.LockOpenFailed:
		l.failed(r, e)
	}
}

// key is a temporary key that an event is about, which must exist.
func (l *lockReplay) key(r *journal.Record, id lock.TempKeyID) *key {
	k := l.keys[id]
	if k == nil {
		l.wrong(r, "there is no key %s", id)
	}
	return k
}

func (l *lockReplay) use(r *journal.Record, e *lock.TempKeyUsed) {
	k := l.key(r, e.TempKeyID)
	if k == nil {
		return
	}
	k.uses++
	l.used[e.RequestID] = e.TempKeyID
	if e.UsedCount != k.uses {
		l.wrong(r, "the key %s is used for the %d. time, not the %d.", e.TempKeyID, k.uses, e.UsedCount)
	}
	if k.maxUses != nil && k.uses > *k.maxUses {
		l.wrong(r, "the key %s is used %d times, and may be used %d times", e.TempKeyID, k.uses, *k.maxUses)
	}
}

func (l *lockReplay) request(r *journal.Record, e *lock.LockOpenRequested) {
	if used, ok := l.used[e.RequestID]; e.TempKeyID != "" && (!ok || used != e.TempKeyID) {
		l.wrong(r, "the request %s opens with the key %s without using it", e.RequestID, e.TempKeyID)
	}
	delete(l.used, e.RequestID)
	if l.opens[e.CommandID] == nil {
		l.opens[e.CommandID] = &command{requests: map[lock.RequestID]*open{}}
	}
	l.command(r, e.CommandID).requests[e.RequestID] = &open{key: e.TempKeyID}
}

func (l *lockReplay) giveBack(r *journal.Record, e *lock.TempKeyUseReturned) {
	k, o := l.key(r, e.TempKeyID), (*open)(nil)
	if c := l.opens[e.CommandID]; c != nil {
		o = c.requests[e.RequestID]
	}
	switch {
	case k == nil:
		return
	case o == nil || o.key != e.TempKeyID:
		l.wrong(r, "the request %s has not used the key %s", e.RequestID, e.TempKeyID)
	case o.returned:
		l.wrong(r, "the use of the request %s came back before", e.RequestID)
	default:
		o.returned = true
	}
	if k.uses--; e.UsedCount != k.uses {
		l.wrong(r, "%d uses of the key %s are left, not %d", k.uses, e.TempKeyID, e.UsedCount)
	}
}

// command is a command that an event is about, which must exist and not have ended.
func (l *lockReplay) command(r *journal.Record, id lock.CommandID) *command {
	c := l.opens[id]
	switch {
	case c == nil:
		l.wrong(r, "nobody has asked for the command %s", id)
		return new(command)
	case c.ended != "":
		l.wrong(r, "the command %s has ended before, as %s", id, c.ended)
	}
	return c
}

// tells looks whether the requests that an event names are those of its command. Older events name none.
func (l *lockReplay) tells(r *journal.Record, c *command, f lock.OpenFor) {
	for _, id := range f.RequestIDs {
		if c == nil || c.requests[id] == nil {
			l.wrong(r, "the request %s is not one of its command", id)
		}
	}
}

func (l *lockReplay) failed(r *journal.Record, e *lock.LockOpenFailed) {
	c := l.command(r, e.CommandID)
	l.tells(r, c, e.OpenFor)
	switch {
	case e.RequestID != "" && c.requests[e.RequestID] == nil:
		l.wrong(r, "the request %s is not one of the command %s", e.RequestID, e.CommandID)
	case e.RequestID == "" && (e.Outcome != lock.Unknown || e.Final):
		c.ended = string(e.Outcome)
	}
}

// opened looks for a door that opened though all its uses had come back.
func (l *lockReplay) opened(r *journal.Record, e *lock.LockOpened) {
	c := l.command(r, e.CommandID)
	l.tells(r, c, e.OpenFor)
	c.ended = string(lock.Opened)
	spent := len(c.requests) == 0
	for _, o := range c.requests {
		spent = spent || !o.returned
	}
	if !spent {
		l.wrong(r, "the door opened by the command %s, but all its uses had come back", e.CommandID)
	}
}

// forget lets a key that is deleted end without its uses: they do not come back to another key of the same UUID. Older journals have
// such keys, so that one that is created again is no finding.
func (l *lockReplay) forget(id lock.TempKeyID) {
	for _, c := range l.opens {
		for _, o := range c.requests {
			if o.key == id {
				o.key = ""
			}
		}
	}
}

func (l *lockReplay) snapshot(s *journal.Snapshot) {
	if !lock.TakesSnapshot(s.Codec) {
		return // nobody uses it
	}
	kept, err := lock.UnmarshalState(s.Data)
	if err != nil {
		l.found(l.stream, "the snapshot of version %d cannot be read: %v", s.Version, err)
		return
	}
	want, err := lock.MarshalState(l.state)
	if err != nil {
		l.found(l.stream, "the state at version %d cannot be written: %v", s.Version, err)
		return
	}
	has, err := lock.MarshalState(kept)
	if err != nil || !bytes.Equal(has, want) {
		l.found(l.stream, "the snapshot of version %d is not what the records say: it has %s instead of %s", s.Version, difference(has, want), difference(want, has))
	}
}

// difference is the part of a text where it begins to differ from another one.
func difference(text, other []byte) string {
	const before, length = 20, 60
	i := 0
	for i < len(text) && i < len(other) && text[i] == other[i] {
		i++
	}
	start := max(0, i-before)
	return fmt.Sprintf("%q", text[start:min(len(text), start+length)])
}
