// Package actors holds the shell around the kernel: the grain of a lock, which is one virtual actor of the cluster, and
// Locks, the client through which everybody else reaches it.
//
// The grain lets the kernel decide, makes the events durable, carries out the effects and gives the reply, in this
// order. It has one state, evolved as soon as a command is decided, so it may be ahead of the journal; whatever is said,
// be it a reply, a rejection or the answer to a query, waits until all that was staged before it is durable. At most one
// append of a grain is in flight: what is decided meanwhile rides in the next one. So an append is only ever
// submitted on a state that is known to be in the journal, and the version that it expects is a fence against any other
// writer. Where nodes share a journal, an answer that stores nothing is fenced too: the journal confirms that the state
// it was taken from is the newest. No rule of the domain lives here.
//
// A command goes this way: Receive -> execute -> stage -> submit -> the journal -> journalAnswers -> wake -> settle -> finish -> answered.
package actors

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/latchkey/latchkey/cluster"
	"github.com/latchkey/latchkey/internal/seldom"
	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/lock"
)

// Kind is the name of the lock grains in the cluster.
const Kind = "lock"

// The defaults of Options.
const (
	DefaultOpenWait    = 3 * time.Second
	DefaultIdleAfter   = 15 * time.Minute
	DefaultCallTimeout = 10 * time.Second
)

// The bounds of one grain, and of the node's grains together.
const (
	maxStash    = 1024    // requests that wait while the state is loaded
	maxStaged   = 1024    // commands that wait for an append
	maxWaiters  = 4096    // callers that wait for a device
	maxWithheld = 256     // revocations that wait besides
	maxBatch    = 256     // commands in one append
	batchBytes  = 1 << 20 // a batch that has reached this is full
	remembered  = 8       // replies kept for requests that are sent again
	maxLoads    = 64      // grains that load at the same time
	maxFound    = 1 << 16 // UUIDs whose lock is remembered, of devices and of keys
	maxSends    = 3       // of a request whose node goes away

	loadTimeout   = 10 * time.Second       // after which a load is given up, and its callers try again
	appendTimeout = 10 * time.Second       // of an append that no caller's deadline bounds
	replyMargin   = 100 * time.Millisecond // what an answer may take to its caller, or a tenth of the time that this one has
	// maxLate is how long a revocation is answered after its grain has gone. Other nodes hear one that leaves for 3 s.
	maxLate = 2500 * time.Millisecond
	// safePoll is how often those of one grain look into the journal.
	safePoll = 100 * time.Millisecond
)

// Options describes the locks of one node. The zero value of a field takes its default.
type Options struct {
	Journal journal.Journal
	// OpenWait is how long an open waits for the device before it is answered with what is then known.
	OpenWait time.Duration
	// IdleAfter is how long a grain stays in memory that nobody has called, and whose device is not connected.
	IdleAfter time.Duration
	// CallTimeout bounds a call whose context has no deadline.
	CallTimeout time.Duration

	Logger     *slog.Logger
	Registerer prometheus.Registerer
}

func (o Options) withDefaults() Options {
	if o.OpenWait == 0 {
		o.OpenWait = DefaultOpenWait
	}
	if o.IdleAfter == 0 {
		o.IdleAfter = DefaultIdleAfter
	}
	if o.CallTimeout == 0 {
		o.CallTimeout = DefaultCallTimeout
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Registerer == nil {
		o.Registerer = prometheus.NewRegistry()
	}
	return o
}

func (o Options) validate() error {
	var errs []error
	if o.Journal == nil {
		errs = append(errs, errors.New("actors: no journal"))
	}
	if o.OpenWait < 0 || o.IdleAfter < 0 || o.CallTimeout < 0 {
		errs = append(errs, errors.New("actors: a negative duration"))
	}
	return errors.Join(errs...)
}

// Node reaches a grain wherever it is. It is a *cluster.Node.
type Node interface {
	Request(ctx context.Context, kind, identity string, msg any) (any, error)
	TellLocal(kind, identity string, msg any) bool
	TellMember(id, name string, msg any) bool
	Listen(name string, receive func(msg any))
	Members() []cluster.Member
	Moved() time.Time
	Owner(kind, identity string) (member string)
}

// Devices are the sessions of the devices that are connected to this node. Send never blocks, and a session that is gone
// is no error: the lock expects that. Recall makes those tell of themselves whose locks a member owns.
type Devices interface {
	Send(id lock.ID, e lock.Effect)
	Recall(member string)
}

// shell is what the grains of a node share.
type shell struct {
	Options
	metrics *metrics
	start   time.Time     // the grains count their time from here
	shared  bool          // others append to the journal
	loads   chan struct{} // a place for each grain that loads

	unloaded seldom.Reasons // of loads that failed

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	work   sync.WaitGroup // loads and the sweeper
	owing  atomic.Int64   // grains that have stopped and still owe answers
	late   atomic.Int64   // revocations of such grains that are not safe yet

	joined  chan struct{} // closed when the fields below are set
	node    Node
	self    string // this node, as sessions name it
	devices Devices

	outward outward
	inward  *inward
	mail    *mail

	mu     sync.Mutex
	grains map[*grain]struct{} // that have a state; guarded by mu
	absent map[*grain]struct{} // of locks that were never created; guarded by mu
	closed bool                // guarded by mu

	members []cluster.Member // guarded by mu
}

func newShell(o Options) (*shell, error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	s := &shell{
		Options: o, start: time.Now(), shared: o.Journal.Shared(), loads: make(chan struct{}, maxLoads),
		joined: make(chan struct{}), grains: make(map[*grain]struct{}), absent: make(map[*grain]struct{}),
	}
	s.mail = newMail(s)
	var err error
	if s.inward, err = newInward(); err != nil {
		return nil, err
	}
	if s.metrics, err = newMetrics(o.Registerer, s); err != nil {
		return nil, fmt.Errorf("actors: metrics: %w", err)
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.work.Go(s.sweep)
	s.work.Go(s.wakeJobs)
	return s, nil
}

// now is the time since the shell started, on the monotonic clock.
func (s *shell) now() time.Duration { return time.Since(s.start) }

// background runs f unless the shell is closed; it reports whether it does.
func (s *shell) background(f func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.work.Go(f)
	return true
}

func (s *shell) close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	s.work.Wait()
}
