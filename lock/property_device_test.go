package lock

import (
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// device is good firmware with a bad life: it reboots, loses answers, loses its journal, and comes back on other sockets.
type device struct {
	w       *world
	boot    int
	socket  *socket // the one that it thinks is its newest
	epoch   uint64
	journal bool
	lost    bool // its journal, once: what it does not find there it cannot deny
	seen    map[CommandID]CommandStatus
	behind  time.Duration // its clock
	keeps   bool          // keys
	table   []string      // of them; it survives everything
}

// socket is one WebSocket: frames to the device, and what its session tells the lock.
type socket struct {
	session Session
	alive   bool // for the node that holds it
	down    []Effect
	up      []Command
}

// The steps of the network.

func (w *world) connect(t *rapid.T) {
	w.ids++
	s := &socket{session: Session{Node: "n", ID: uint64(w.ids)}, alive: true}
	w.sockets = append(w.sockets, s)
	w.device.socket = s
	t.Logf("    session %d", s.session.ID)
	s.up = append(s.up, &ConnectDevice{Device: w.device.hello()})
}

func (d *device) hello() Device {
	return Device{
		Session: d.socket.session, BootID: string(rune('a' + d.boot)), Deadline: true, Journal: d.journal, Keys: d.keeps,
		HelloMono: int64(d.socket.session.ID), // of two sockets the later one has the later Hello
	}
}

// some draws a socket for which want holds.
func (w *world) some(t *rapid.T, want func(*socket) bool) *socket {
	var fit []*socket
	for _, s := range w.sockets {
		if want(s) {
			fit = append(fit, s)
		}
	}
	if len(fit) == 0 {
		return nil
	}
	return fit[rapid.IntRange(0, len(fit)-1).Draw(t, "socket")]
}

func (w *world) keep(t *rapid.T) {
	if s := w.some(t, func(s *socket) bool { return s.alive && len(s.up) == 0 }); s != nil {
		t.Logf("    session %d", s.session.ID)
		d := w.device
		d.socket = s
		s.up = append(s.up, &KeepDevice{Device: d.hello()})
	}
}

func (w *world) cut(t *rapid.T) {
	if s := w.some(t, func(s *socket) bool { return s.alive }); s != nil {
		t.Logf("    session %d", s.session.ID)
		s.alive = false
		s.up = append(s.up, &DisconnectDevice{Session: s.session})
		if s == w.device.socket && rapid.Bool().Draw(t, "device notices") {
			w.device.socket = nil
		}
	}
}

func (w *world) pending() (n int) {
	for _, l := range w.lines {
		n += len(l.effects)
	}
	return n
}

// effect lets one effect arrive at the node with the socket. Effects of one activation keep their order.
func (w *world) effect(t *rapid.T) {
	var fit []*line
	for _, l := range w.lines {
		if len(l.effects) > 0 {
			fit = append(fit, l)
		}
	}
	if len(fit) == 0 {
		return
	}
	l := fit[0]
	if len(fit) > 1 {
		l = fit[rapid.IntRange(0, len(fit)-1).Draw(t, "activation")]
	}
	e := l.effects[0]
	l.effects = l.effects[1:]
	for _, s := range w.sockets {
		if s.session != e.To() || !s.alive {
			continue
		}
		switch e := e.(type) {
		case *SendOpen:
			if !w.now.After(e.NotAfter) {
				s.down = append(s.down, e)
			}
		case *SendKey:
			if !w.now.After(e.NotAfter) {
				s.down = append(s.down, e)
			}
		case *AskStatus:
			s.down = append(s.down, e)
		case *CloseSession:
			s.alive = false
			s.up = append(s.up, &DisconnectDevice{Session: s.session})
		}
	}
}

func (w *world) uplink(t *rapid.T) {
	if s := w.some(t, func(s *socket) bool { return len(s.up) > 0 }); s != nil {
		w.receive(t, s)
	}
}

// uplinkTwice lets a message arrive and then once more, later, as a client does that missed the answer.
func (w *world) uplinkTwice(t *rapid.T) {
	if s := w.some(t, func(s *socket) bool { return len(s.up) > 0 }); s != nil {
		s.up = append(s.up, s.up[0])
		w.receive(t, s)
	}
}

func (w *world) uplinkLost(t *rapid.T) {
	if s := w.some(t, func(s *socket) bool { return len(s.up) > 0 }); s != nil {
		t.Logf("    %T of session %d", s.up[0], s.session.ID)
		s.up = s.up[1:]
	}
}

func (w *world) receive(t *rapid.T, s *socket) {
	c := s.up[0]
	s.up = s.up[1:]
	t.Logf("    %T of session %d", c, s.session.ID)
	step := w.do(t, c, nil)
	if g, ok := step.Decision.Reply.(*Greeting); ok {
		w.greet(t, s, step, g)
	}
}

// greet lets the answer to Hello arrive, ahead of all that is sent with it: Hello sets the epoch.
func (w *world) greet(t *rapid.T, s *socket, step *staged, g *Greeting) {
	for _, e := range step.effects {
		switch e := e.(type) {
		case *SendOpen:
			require.GreaterOrEqual(t, e.Epoch, g.Epoch, "it is stale by the Hello that it is sent with")
		case *SendKey:
			require.GreaterOrEqual(t, e.Epoch, g.Epoch, "it is stale by the Hello that it is sent with")
		}
	}
	step.durable = func() {
		if s == w.device.socket {
			w.device.epoch = g.Epoch
		}
	}
}

// The steps of the device.

func (w *world) deviceReads(t *rapid.T) {
	s := w.some(t, func(s *socket) bool { return len(s.down) > 0 })
	if s == nil {
		return
	}
	fate := rapid.SampledFrom([]string{"well", "well", "jams", "cannot tell", "jams halfway", "jams halfway, loses its answer", "reboots before", "reboots halfway", "reboots after", "loses its answer"}).Draw(t, "device")
	w.device.read(t, s, fate)
}

func (w *world) deviceReboots(t *rapid.T) {
	if rapid.IntRange(0, 3).Draw(t, "journal") == 0 {
		t.Logf("    loses its journal")
		w.device.lost, w.device.seen, w.device.epoch = true, map[CommandID]CommandStatus{}, 0
	}
	w.device.reboot()
}

func (d *device) reboot() {
	d.boot++
	d.socket = nil
}

func (d *device) read(t *rapid.T, s *socket, fate string) {
	frame := s.down[0]
	s.down = s.down[1:]
	switch e := frame.(type) {
	case *AskStatus:
		if s != d.socket {
			return
		}
		statuses := map[CommandID]CommandStatus{}
		for _, id := range e.CommandIDs {
			statuses[id] = d.status(id)
		}
		t.Logf("    device tells %v", statuses)
		s.up = append(s.up, &AnswerStatus{Session: s.session, Statuses: statuses})
	case *SendOpen:
		if answer := d.open(t, s, e, fate); answer != nil {
			answer.Session, answer.CommandID = s.session, e.CommandID
			s.up = append(s.up, answer)
		}
	case *SendKey:
		if answer := d.key(t, s, e, fate); answer != nil {
			answer.Session, answer.CommandID = s.session, e.CommandID
			s.up = append(s.up, answer)
		}
	}
}

func (d *device) status(id CommandID) CommandStatus {
	switch status, ok := d.seen[id]; {
	case ok:
		return status
	case d.lost:
		return CommandJournalLost
	default:
		return CommandNotSeen
	}
}

// open is what protocol.md tells a device to do with an Open, and what may go wrong in between.
func (d *device) open(t *rapid.T, s *socket, e *SendOpen, fate string) *AnswerOpen {
	t.Logf("    device reads Open %s of session %d, and %s", e.CommandID, e.Session.ID, fate)
	refuse := func(code string) *AnswerOpen { return &AnswerOpen{Executed: NotExecuted, Code: code} }
	switch {
	case s != d.socket || e.Session != s.session:
		return refuse("StaleSession")
	case e.BootID != string(rune('a'+d.boot)):
		return refuse("BootMismatch")
	case e.Epoch < d.epoch:
		return refuse("StaleEpoch")
	case d.w.now.Add(-d.behind).After(e.NotAfter):
		return refuse("Expired")
	case d.seen[e.CommandID] == CommandExecuted:
		return &AnswerOpen{Opened: true}
	case d.seen[e.CommandID] == CommandRefused:
		return refuse("Jammed")
	case d.seen[e.CommandID] == CommandMoved:
		return &AnswerOpen{Executed: WasExecuted, Code: "Jammed"}
	}
	if fate == "reboots before" {
		d.reboot()
		return nil
	}
	d.epoch = e.Epoch
	if fate == "jams" {
		d.seen[e.CommandID] = CommandRefused
		return refuse("Jammed")
	}
	d.seen[e.CommandID] = CommandExecuted
	if fate == "cannot tell" {
		d.seen[e.CommandID] = CommandJournalLost
		return &AnswerOpen{Executed: ExecutedUnknown, Code: "Internal"}
	}
	d.w.moved(t, e.CommandID)
	switch fate {
	case "jams halfway":
		d.seen[e.CommandID] = CommandMoved
		return &AnswerOpen{Executed: WasExecuted, Code: "Jammed"}
	case "jams halfway, loses its answer":
		d.seen[e.CommandID] = CommandMoved
		return nil
	case "reboots halfway": // the journal says that it started
		d.seen[e.CommandID] = CommandJournalLost
		d.reboot()
		return nil
	case "reboots after":
		d.reboot()
		return nil
	case "loses its answer":
		return nil
	}
	return &AnswerOpen{Opened: true, Bolt: "unlocked"}
}
