package actors

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/cluster"
	"github.com/latchkey/latchkey/lock"
)

// otherNode is a Node whose grains hear what they are told, or not.
type otherNode struct {
	local bool // the grains are on this node

	mu       sync.Mutex
	commands []lock.Command
	answer   func(sent int, r *Request) error // nil: every request is executed
	sent     int
}

func (n *otherNode) hear(r *Request) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.commands = append(n.commands, r.Command)
}

func (n *otherNode) heard() []lock.Command {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.commands
}

func (n *otherNode) TellLocal(_, _ string, msg any) bool {
	if n.local {
		n.hear(msg.(*Request))
	}
	return n.local
}

func (n *otherNode) Request(ctx context.Context, _, _ string, msg any) (any, error) {
	n.mu.Lock()
	sent := n.sent
	n.sent++
	n.mu.Unlock()
	if n.answer != nil {
		if err := n.answer(sent, msg.(*Request)); err != nil {
			if errors.Is(err, cluster.ErrUnavailable) {
				<-ctx.Done()
			}
			return nil, err
		}
	}
	n.hear(msg.(*Request))
	return &Response{Reply: &lock.Done{}}, nil
}

func (*otherNode) TellMember(string, string, any) bool { return false }
func (*otherNode) Listen(string, func(any))            {}
func (*otherNode) Members() []cluster.Member           { return nil }
func (*otherNode) Moved() time.Time                    { return time.Time{} }
func (*otherNode) Owner(string, string) string         { return "" }

func newPost(t *testing.T, n *otherNode) (*shell, *doors) {
	s, err := newShell(Options{Journal: inMemory(t)})
	require.NoError(t, err)
	d := newDoors()
	s.node, s.self, s.devices = n, self, d
	return s, d
}

func report(id lock.ID, seq uint64) *lock.ReportEvents {
	return &lock.ReportEvents{Session: lock.Session{Node: self, ID: uint64(id)}, Items: []lock.DeviceEvent{{Seq: seq}}}
}

// What sessions say gets to grains of another node in its order, whatever happens on the way.
func TestLettersStayInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const locks, letters = 20, 50
		errs := []error{cluster.ErrBusy, cluster.ErrLost, cluster.ErrTimeout, cluster.ErrFailed}
		n := &otherNode{}
		n.answer = func(sent int, r *Request) error {
			if sent%3 == 0 {
				n.hear(r) // it may have been executed, and is again
				return errs[sent%len(errs)]
			}
			return nil
		}
		s, d := newPost(t, n)
		var all sync.WaitGroup
		for id := range lock.ID(locks) {
			all.Go(func() {
				for seq := range uint64(letters) {
					s.mail.tell(id+1, report(id+1, seq+1))
				}
			})
		}
		all.Wait()
		synctest.Wait()
		<-time.After(mailPatience)
		synctest.Wait()
		last := map[uint64]uint64{}
		for _, c := range n.heard() {
			r := c.(*lock.ReportEvents)
			seq := r.Items[0].Seq
			require.LessOrEqual(t, seq, last[r.Session.ID]+1, "nothing is left out")
			last[r.Session.ID] = max(last[r.Session.ID], seq)
		}
		require.Len(t, last, locks)
		for id, seq := range last {
			require.EqualValues(t, letters, seq, id)
		}
		require.Empty(t, s.mail.lanes)
		require.Zero(t, s.mail.letters.Load())
		require.Zero(t, s.mail.carriers)
		require.Empty(t, d.all())
		s.close()
	})
}

// A lock that cannot be reached for long costs its session, which begins anew. Other locks notice nothing.
func TestALetterThatIsLostEndsItsSession(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &otherNode{answer: func(_ int, r *Request) error {
			if session, _ := sessionBehind(r.Command); session.ID == 1 {
				return cluster.ErrUnavailable
			}
			return nil
		}}
		s, d := newPost(t, n)
		for seq := range uint64(3) {
			s.mail.tell(1, report(1, seq+1))
		}
		s.mail.tell(2, report(2, 1))
		synctest.Wait()
		require.Equal(t, []lock.Command{report(2, 1)}, n.heard())
		require.Empty(t, d.all())
		<-time.After(mailPatience)
		synctest.Wait()
		end := &lock.CloseSession{Session: lock.Session{Node: self, ID: 1}, Cause: lock.CauseUnsure}
		require.Equal(t, []lock.Effect{end, end, end}, d.all())
		require.Len(t, n.heard(), 1, "not what came after a gap")
		require.Zero(t, s.mail.letters.Load())
		s.close()
	})
}

func TestMailIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &otherNode{answer: func(int, *Request) error { return cluster.ErrUnavailable }}
		s, d := newPost(t, n)
		for seq := range uint64(maxLetters + 2) {
			s.mail.tell(1, report(1, seq+1))
		}
		require.Len(t, d.all(), 2)
		for id := range lock.ID(2 * maxCarriers) {
			s.mail.tell(id+2, report(id+2, 1))
		}
		synctest.Wait()
		n.mu.Lock()
		require.Equal(t, maxCarriers, n.sent, "so many at a time")
		n.mu.Unlock()
		s.close() // a node that stops loses nothing that its devices would not say again
		require.Len(t, d.all(), 2)
	})
}

// While letters wait for a lock whose grain has come to this node, those that follow do not overtake them.
func TestALocalLetterDoesNotOvertake(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		n := &otherNode{answer: func(int, *Request) error { <-gate; return nil }}
		s, _ := newPost(t, n)
		s.mail.tell(1, report(1, 1))
		synctest.Wait()
		n.local = true
		s.mail.tell(1, report(1, 2))
		close(gate)
		synctest.Wait()
		s.mail.tell(1, report(1, 3))
		require.Equal(t, []lock.Command{report(1, 1), report(1, 2), report(1, 3)}, n.heard())
		s.close()
	})
}

// A device answers once. Its answer survives that the grain stops before it has looked at it.
func TestAnAnswerToAGrainThatStopsIsNotLost(t *testing.T) {
	t.Parallel()
	w := start(t, inMemory(t), nil)
	for round := range 20 {
		id := w.newLock()
		key := w.newKey(id, 1)
		w.connect(id, silent)
		opened := make(chan error, 1)
		go func() {
			result, err := w.open(id, key, "first")
			if err == nil && result.Outcome != lock.Opened {
				err = fmt.Errorf("round %d: %s", round, result.Outcome)
			}
			opened <- err
		}()
		var open *lock.SendOpen
		require.Eventually(t, func() bool {
			if all := sent[*lock.SendOpen](w.doors, id); len(all) > 0 {
				open = all[0]
			}
			return open != nil
		}, 5*time.Second, time.Millisecond)
		for _, pid := range w.pids() {
			node.System().Root.Stop(pid)
		}
		w.Tell(id, opens(open))
		require.NoError(t, <-opened)
	}
}

// Nothing that a session says is left out of the mail.
func TestEveryWordOfASessionIsKnown(t *testing.T) {
	t.Parallel()
	for name, typ := range commands {
		v := reflect.New(typ)
		field := v.Elem().FieldByName("Session")
		if device := v.Elem().FieldByName("Device"); device.IsValid() {
			field = device.FieldByName("Session")
		}
		if !field.IsValid() || name == "ConnectDevice" { // whoever connects waits for the answer
			continue
		}
		field.Set(reflect.ValueOf(lock.Session{Node: "n", ID: 1}))
		session, ok := sessionBehind(v.Interface().(lock.Command))
		require.True(t, ok, name)
		require.Equal(t, lock.Session{Node: "n", ID: 1}, session, name)
	}
}

// What is neither a change nor an open is sent again when its node is lost, so it must be harmless: a question, or a device's word.
func TestEveryChangeIsNamed(t *testing.T) {
	t.Parallel()
	question := regexp.MustCompile(`^(Get|List|Authenticate)`)
	for name, typ := range commands {
		c := reflect.New(typ).Interface().(lock.Command)
		_, said := sessionBehind(c)
		if said || name == "ConnectDevice" || name == "Tick" || strings.HasPrefix(name, "Open") || name == "Once" {
			continue
		}
		require.NotEqual(t, question.MatchString(name), lock.IsChange(c), name)
		require.Equal(t, lock.IsChange(c), requestID(c) != "", name)
		require.Equal(t, lock.IsChange(c), requestID(&lock.Once{Command: c}) != "", name)
	}
}

// An open whose append was in flight when its grain stopped is in the journal as sent. So it is sent, and the next activation
// hears what became of it.
func TestAnOpenInFlightIsSentAlthoughItsGrainHasGone(t *testing.T) {
	t.Parallel()
	j := newGated(t)
	w := start(t, j, nil)
	id := w.newLock()
	key := w.newKey(id, 1)
	w.connect(id, opens)
	j.shut()
	opened := w.ask(id, opening(key, "first"))
	w.staged(1)
	for _, pid := range w.pids() {
		node.System().Root.Stop(pid)
	}
	require.Eventually(t, func() bool { return w.Owed() == 1 }, 5*time.Second, time.Millisecond)
	j.open()
	answer := <-opened
	require.NoError(t, answer.err)
	require.Equal(t, lock.Opened, answer.reply.(*lock.OpenResult).Outcome)
	require.Equal(t, 1, movements(w.doors, id))
	require.EqualValues(t, 1, w.keyOf(id, key).UsedCount)
}
