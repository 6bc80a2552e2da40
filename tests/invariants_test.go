package tests

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/lock"
	"github.com/latchkey/latchkey/sim"
)

// The invariants, which hold whatever crashes, pauses or splits:
//
//	I1  no key opens more often than its maxUses, and no use comes back of which a motor moved
//	I2  nothing that was acknowledged is lost
//	I3  no motor moves after its open's deadline
//	I4  one accepted request moves the motor once at most, and nothing moves that is not in the journal
//	I5  the versions of a stream and the positions of the journal have no gaps
//	I6  no motor moves for a key after its revocation was acknowledged
//	I7  each lock is linearizable
//
// They are checked from three witnesses that know nothing of each other: what clients were told, what the motors
// did, and what is in the journal.
type evidence struct {
	epoch   time.Time // before everything else
	acts    []act
	moves   []sim.Movement
	records []journal.Record
	// clocksDiffer says that the instants in the journal are those of servers whose clocks are minutes apart. What the motors'
	// own clocks say counts all the same.
	clocksDiffer bool
}

// act is one thing that a client asked for, and what it was told.
type act struct {
	kind             kind
	lock             lock.ID
	key              lock.TempKeyID
	request          lock.RequestID
	limit            int64 // 0: none
	called, answered time.Time
	attempts         int
	status           int    // 0: there was no answer, and nobody knows what happened
	reason           string // of a refusal
	version          uint64 // of the event that the answer told
	event            string
	outcome          lock.Outcome             // of an open, as it was last told
	uses             map[lock.TempKeyID]int64 // that a list told
}

type kind string

const (
	createKey kind = "create a key"
	limitKey  kind = "limit a key"
	deleteKey kind = "delete a key"
	openByKey kind = "open by key"
	openLock  kind = "open"
	lookAt    kind = "look at an open" // on its confirmation page
	listKeys  kind = "list the keys"
	returnUse kind = "return a use" // nobody asks for it
	otherwise kind = "something else"
)

// ledger collects the acts of many clients.
type ledger struct {
	epoch time.Time
	mu    sync.Mutex
	acts  []act
}

func newLedger() *ledger { return &ledger{epoch: time.Now()} }

func (l *ledger) add(a act) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acts = append(l.acts, a)
}

func (l *ledger) all() []act {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]act(nil), l.acts...)
}

// tell notes what an answer said, if there was one.
func (a *act) tell(answer *answer, err error) {
	a.answered = time.Now()
	if err != nil || answer.status == http.StatusGatewayTimeout {
		return
	}
	s := answer.said()
	a.attempts = answer.attempts
	a.status, a.reason, a.outcome = answer.status, s.Reason, lock.Outcome(s.Outcome)
	if s.Event != nil {
		a.version, a.event = s.Version, s.Event.Type
	}
	if a.kind == listKeys && a.status == 200 {
		a.uses = make(map[lock.TempKeyID]int64)
		for _, k := range s.TempKeys {
			a.uses[lock.TempKeyID(k.UUID)] = k.UsedCount
		}
	}
}

// accepted tells whether the client was told that it happened.
func (a *act) accepted() bool { return a.status >= 200 && a.status < 400 }

// requireInvariants fails the test when anything is wrong, and says what.
func requireInvariants(t *testing.T, e *evidence) {
	t.Helper()
	bad, checked := e.violations()
	t.Logf("invariants: %s", checked)
	require.Empty(t, bad, "%d violations", len(bad))
}

// clockMargin is what a motor's note of the time may be behind the instant at which it looked at its clock, on a busy machine.
const clockMargin = 250 * time.Millisecond

// violations gives everything that is wrong, and how much was looked at.
func (e *evidence) violations() (bad []string, checked string) {
	s := readStory(e.records)
	s.checkLimits(e.moves)
	s.checkAcknowledged(e.acts, e.moves)
	s.checkMovements(e.moves, e.clocksDiffer)
	s.checkRevocations(e.acts, e.moves)
	operations := e.linearizable(s)
	return s.bad, fmt.Sprintf("%d answers, %d movements, %d records in %d streams; %d operations of %d locks linearized",
		len(e.acts), len(e.moves), len(e.records), len(s.streams), operations, len(locksOf(e.acts)))
}

// checkLimits is I1 by what the motors did; the journal's own counting was checked while it was read.
func (s *story) checkLimits(moves []sim.Movement) {
	opens := make(map[lock.TempKeyID]int64)
	for _, m := range moves {
		c := s.commands[lock.CommandID(m.CommandID)]
		if c == nil {
			continue
		}
		seen := make(map[lock.TempKeyID]bool)
		for _, r := range c.requests {
			if r.withdrawn || r.key == "" {
				continue
			}
			if r.returned {
				s.complain("I1: the motor of lock %d moved for request %s, whose use of key %s came back", c.lock, r.id, r.key)
			}
			if !seen[r.key] {
				opens[r.key]++
			}
			seen[r.key] = true
		}
	}
	for key, n := range opens {
		if k := s.keys[key]; k == nil || k.highest != nil && n > *k.highest {
			s.complain("I1: %d movements for key %s", n, key)
		}
	}
}

// checkAcknowledged is I2.
func (s *story) checkAcknowledged(acts []act, moves []sim.Movement) {
	moved := make(map[lock.CommandID]bool)
	for _, m := range moves {
		moved[lock.CommandID(m.CommandID)] = true
	}
	for i := range acts {
		a := &acts[i]
		if a.status == http.StatusServiceUnavailable && s.requests[requestName(a.lock, a.request)] != nil {
			s.complain("I2: request %s was told that nothing was done, and the journal has it", a.request)
		}
		if !a.accepted() {
			continue
		}
		if a.event != "" {
			stream := s.streams["lock/"+a.lock.String()]
			if a.version < 1 || a.version > uint64(len(stream)) || stream[a.version-1].Type != a.event {
				s.complain("I2: lock %d acknowledged %s as version %d, and the journal has not got it", a.lock, a.event, a.version)
			}
		}
		if a.kind != openByKey && a.kind != openLock && a.kind != lookAt {
			continue
		}
		r := s.requests[requestName(a.lock, a.request)]
		switch {
		case r == nil || r.command == nil:
			s.complain("I2: request %s was accepted, and the journal does not know it", a.request)
		case r.key != a.key || r.used != (a.key != ""):
			s.complain("I2: request %s with key %q is in the journal with key %q", a.request, a.key, r.key)
		case a.outcome == lock.Opened && !moved[r.command.id]:
			s.complain("I2: request %s was told that the door opened, and the motor never moved", a.request)
		case a.outcome == lock.Opened && r.command.outcome != lock.Opened && r.command.outcome != lock.Unknown && r.command.outcome != lock.Sent:
			s.complain("I2: request %s was told that the door opened, and the journal says %s", a.request, r.command.outcome)
		case (a.outcome == lock.Refused || a.outcome == lock.Expired) && moved[r.command.id] && !r.withdrawn:
			s.complain("I2: request %s was told that the door stayed shut, and the motor moved", a.request)
		}
	}
}

// checkMovements is I3 and I4.
func (s *story) checkMovements(moves []sim.Movement, clocksDiffer bool) {
	count := make(map[string]int)
	for _, m := range moves {
		if count[m.CommandID]++; count[m.CommandID] == 2 {
			s.complain("I4: the motor of lock %d moved again for command %s", m.LockID, m.CommandID)
		}
		c := s.commands[lock.CommandID(m.CommandID)]
		if c == nil || int64(c.lock) != m.LockID {
			s.complain("I4: the motor of lock %d moved for command %s, which is not in its journal", m.LockID, m.CommandID)
			continue
		}
		if m.DeadlineEnforced && m.MarginMs < 0 {
			s.complain("I3: the motor of lock %d moved %d ms after the deadline on its own clock", m.LockID, -m.MarginMs)
		}
		if late := m.Time.Sub(c.deadline); m.DeadlineEnforced && late > clockMargin && !clocksDiffer {
			s.complain("I3: the motor of lock %d moved %s after the deadline of command %s", m.LockID, late, m.CommandID)
		}
		if c.outcome == lock.Refused || c.outcome == lock.Expired {
			s.complain("I4: the motor of lock %d moved for command %s, which is %s", m.LockID, m.CommandID, c.outcome)
		}
	}
}

// checkRevocations is I6.
func (s *story) checkRevocations(acts []act, moves []sim.Movement) {
	gone := make(map[lock.TempKeyID]time.Time)
	for i := range acts {
		if a := &acts[i]; a.kind == deleteKey && (a.accepted() || a.status == http.StatusNotFound) {
			gone[a.key] = a.answered
		}
	}
	for _, m := range moves {
		c := s.commands[lock.CommandID(m.CommandID)]
		if c == nil {
			continue
		}
		for _, r := range c.requests {
			if at, revoked := gone[r.key]; revoked && !r.withdrawn && m.Time.After(at) {
				s.complain("I6: the motor of lock %d moved for key %s, %s after its revocation was acknowledged", m.LockID, r.key, m.Time.Sub(at))
			}
		}
	}
}

func locksOf(acts []act) map[lock.ID][]act {
	by := make(map[lock.ID][]act)
	for _, a := range acts {
		by[a.lock] = append(by[a.lock], a)
	}
	return by
}

// count counts the records of a type.
func count(records []journal.Record, typ string) (n int) {
	for _, r := range records {
		if r.Type == typ {
			n++
		}
	}
	return n
}
