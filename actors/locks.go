package actors

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/latchkey/latchkey/actors/actorspb"
	"github.com/latchkey/latchkey/cluster"
	"github.com/latchkey/latchkey/lock"
)

// Locks is the way to the locks: commands go to their grains, wherever these are, and look-ups to the journal.
type Locks struct {
	shell *shell
	found *lru.Cache[claim, lock.ID] // claims are never given up, so that it never gets old
}

// claim is the UUID of a device or of a key, as the journal's index has it.
type claim struct{ kind, key string }

// New prepares the locks of a node: Kinds go to the cluster, and Join makes them work.
func New(o Options) (*Locks, error) {
	s, err := newShell(o)
	if err != nil {
		return nil, err
	}
	found, err := lru.New[claim, lock.ID](maxFound)
	if err != nil {
		s.close()
		return nil, err
	}
	return &Locks{shell: s, found: found}, nil
}

// Kinds are the grains that the cluster's node runs.
func (l *Locks) Kinds() map[string]*actor.Props {
	return map[string]*actor.Props{Kind: actor.PropsFromProducer(func() actor.Actor { return &grain{shell: l.shell} })}
}

// Join connects the locks with the cluster's node, and with the devices that are connected to this node, which sessions
// call self. It is called once; until then every command waits.
func (l *Locks) Join(node Node, self string, devices Devices) {
	l.shell.node, l.shell.self, l.shell.devices = node, self, devices
	close(l.shell.joined)
	node.Listen(sessionsName, l.shell.receive)
	l.MembersChanged()
}

// Close ends the background work. Grains that still run are not stopped by it: the cluster's node does that, before.
func (l *Locks) Close() { l.shell.close() }

// Do has a lock execute a command, and waits for the reply. A rejection is a *lock.Error, and so is a lock that is
// overloaded (Busy). After any other error nobody knows whether the command was executed, and it may be done again: with the
// same request ID an open counts once.
func (l *Locks) Do(ctx context.Context, id lock.ID, c lock.Command) (lock.Reply, error) {
	deadline, ok := ctx.Deadline()
	if !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, l.shell.CallTimeout)
		defer cancel()
		deadline, _ = ctx.Deadline()
	}
	if !l.shell.hasJoined(ctx) {
		return nil, unavailable()
	}
	req := &Request{ID: requestID(c), Deadline: deadline, Command: c}
	var lost error // of a send that may have been executed
	// A grain that says it has stopped is asked again for as long as the caller waits: each has said so, and the next will. A send
	// that was lost may be lost each time, and each costs the journal an open, so there is a bound.
	for losses := 0; ; {
		answer, err := l.shell.node.Request(ctx, Kind, id.String(), req)
		again := errors.Is(err, cluster.ErrStopped)
		if errors.Is(err, cluster.ErrLost) && repeatable(c) {
			losses++
			again = losses < maxSends
		}
		if again && ctx.Err() == nil {
			lost = err
			continue
		}
		var r lock.Reply
		if err != nil {
			err = failure(err)
		} else {
			r, err = reply(answer)
		}
		if rejection, ok := errors.AsType[*lock.Error](err); lost != nil && ok && rejection.Kind == lock.Busy {
			return nil, lost // this send was not executed, which says nothing of the one before it
		}
		return r, err
	}
}

// Home names the member that a lock's grain belongs to, as far as this node knows.
func (l *Locks) Home(id lock.ID) string { return l.shell.node.Owner(Kind, id.String()) }

// Tell has a lock execute what a session of this node has to tell. It never blocks, and does its best for longer than it takes a
// lock to move; what could not be told in the end costs the session.
func (l *Locks) Tell(id lock.ID, c lock.Command) {
	select {
	case <-l.shell.joined:
		l.shell.mail.tell(id, c)
	case <-l.shell.ctx.Done():
	}
}

// hasJoined waits until the node has joined the cluster; it reports false when ctx is done before.
func (s *shell) hasJoined(ctx context.Context) bool {
	select {
	case <-s.joined:
		return true
	default: // only now: a context may make its timer when it is asked for Done
	}
	select {
	case <-s.joined:
		return true
	case <-ctx.Done():
		return false
	}
}

func reply(answer any) (lock.Reply, error) {
	r, ok := answer.(*Response)
	if x, remote := answer.(*actorspb.Response); remote {
		var err error
		if r, err = responseOf(x); err != nil {
			return nil, fmt.Errorf("%w: the answer of another member cannot be read: %v", cluster.ErrUnknown, err)
		}
	} else if !ok {
		return nil, fmt.Errorf("actors: a lock answered %T", answer)
	}
	if r.Err != nil {
		return nil, r.Err
	}
	return r.Reply, nil
}

// failure turns the cluster's errors after which nothing was executed into rejections.
func failure(err error) error {
	switch {
	case errors.Is(err, cluster.ErrBusy):
		return &lock.Error{Kind: lock.Busy, Reason: "lock-busy", Message: "The lock has too much to do. Try again in a few seconds."}
	case errors.Is(err, cluster.ErrUnavailable):
		return unavailable()
	}
	return err
}

const unavailableReason = "unavailable"

func unavailable() error {
	return &lock.Error{Kind: lock.Busy, Reason: unavailableReason, Message: "The lock could not be reached in time. Nothing was done; try again."}
}

// requestID names a command. An open has a name already, a query needs none.
func requestID(c lock.Command) string {
	switch c := c.(type) {
	case *lock.Once:
		return requestID(c.Command)
	case *lock.OpenLock:
		return string(c.CommandID)
	case *lock.OpenWithTempKey:
		return string(c.CommandID)
	case *lock.OpenWithPIN:
		return string(c.CommandID)
	}
	if lock.IsChange(c) {
		return fresh()
	}
	return ""
}

// fresh is a name of 128 random bits for a command that has none. It is no secret, so nobody asks the operating system for it.
func fresh() string {
	return strconv.FormatUint(rand.Uint64(), 36) + strconv.FormatUint(rand.Uint64(), 36)
}

// repeatable tells whether a command may be sent again after its node was lost. The lock knows opens by their names, in its next
// activation too, and a query changes nothing. Whatever else was executed would be refused by its own effect.
func repeatable(c lock.Command) bool {
	switch c.(type) {
	case *lock.OpenLock, *lock.OpenWithTempKey, *lock.OpenWithPIN:
		return true
	}
	return requestID(c) == ""
}

// FindDevice returns the lock of a device. An error of kind NotFound says that there is none.
func (l *Locks) FindDevice(ctx context.Context, id lock.UUID) (lock.ID, error) {
	return l.find(ctx, claimDevice, string(id), "device-not-found", "There is no lock with this uuid.")
}

// FindTempKey returns the lock of a temporary key, which may have been deleted since. An error of kind NotFound says that
// there never was such a key.
func (l *Locks) FindTempKey(ctx context.Context, id lock.TempKeyID) (lock.ID, error) {
	return l.find(ctx, claimTempKey, string(id), "temp-key-not-found", "There is no such temporary key, or it was deleted.")
}

func (l *Locks) find(ctx context.Context, kind, key, reason, message string) (lock.ID, error) {
	name := claim{kind, key}
	if id, ok := l.found.Get(name); ok {
		return id, nil
	}
	stream, err := l.shell.Journal.Claimed(ctx, kind, key)
	if err != nil {
		return 0, fmt.Errorf("actors: look up a %s: %w", kind, err)
	}
	if stream == "" {
		return 0, &lock.Error{Kind: lock.NotFound, Reason: reason, Message: message}
	}
	if !strings.HasPrefix(stream, Kind+"/") { // a collective key
		return 0, &lock.Error{Kind: lock.NotFound, Reason: reason, Message: message}
	}
	id, err := lockOf(stream)
	if err != nil {
		return 0, fmt.Errorf("actors: a %s is claimed by %q: %w", kind, stream, err)
	}
	l.found.Add(name, id)
	return id, nil
}

// Record is an event of a lock with its place in the lock's stream and among all events.
type Record struct {
	Version  uint64
	Position uint64
	Time     time.Time
	Event    lock.Event
}

// Events returns up to limit events of a lock after a version, fewer where they are large (journal.PageBytes), and how many there are in
// all. It asks the journal and not the lock: who may see them is for the caller to know.
func (l *Locks) Events(ctx context.Context, id lock.ID, after uint64, limit int) (events []Record, total uint64, err error) {
	stream := Stream(id)
	total, _, err = l.shell.Journal.Head(ctx, stream)
	if err != nil {
		return nil, 0, fmt.Errorf("actors: events: %w", err)
	}
	records, err := l.shell.Journal.Read(ctx, stream, after, limit)
	if err != nil {
		return nil, 0, fmt.Errorf("actors: events: %w", err)
	}
	events = make([]Record, len(records))
	for i, r := range records {
		e, err := lock.UnmarshalEvent(r.Type, r.Data)
		if err != nil {
			return nil, 0, fmt.Errorf("actors: events: %w", err)
		}
		events[i] = Record{Version: r.Version, Position: r.Position, Time: r.Time, Event: e}
	}
	if len(events) > 0 {
		total = max(total, events[len(events)-1].Version) // some may have come in between
	}
	return events, total, nil
}
