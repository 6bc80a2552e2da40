package cluster

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/remote"
	"google.golang.org/protobuf/proto"
)

// replyShards is how many processes take answers, so that requests do not all meet in one lock.
const replyShards = 16

// lost takes the place of an answer when the node is gone that should have given it.
type lost struct{}

// replies gives requests their answers. A future of protoactor registers a process of its own for every request; these few
// processes are registered once, and the RequestId of the sender's PID, which travels to other nodes and back, says which
// request an answer belongs to.
type replies struct {
	system *actor.ActorSystem
	seq    atomic.Uint32
	shards [replyShards]replyShard
	calls  sync.Pool
}

type replyShard struct {
	name string
	mu   sync.Mutex
	open map[uint32]*call
}

// call is one request that waits. It is used again: whoever takes it out of open, and nobody else, sends one answer.
type call struct {
	answer chan any
	timer  *time.Timer
	addr   string // of the node that is to answer
}

var _ actor.Process = (*replyShard)(nil)

func newReplies(system *actor.ActorSystem) *replies {
	r := &replies{system: system}
	r.calls.New = func() any {
		t := time.NewTimer(time.Hour)
		t.Stop()
		return &call{answer: make(chan any, 1), timer: t}
	}
	for i := range r.shards {
		s := &r.shards[i]
		s.name, s.open = fmt.Sprintf("replies-%d", i), map[uint32]*call{}
		system.ProcessRegistry.Add(s, s.name)
	}
	return r
}

// request sends msg and waits for its answer: until ctx is done, and no longer than the timeout.
func (r *replies) request(ctx context.Context, to *actor.PID, msg any, timeout time.Duration) (any, error) {
	if to.Address != r.system.ProcessRegistry.Address && !canTravel(msg) {
		return nil, fmt.Errorf("%w: %T", ErrMessage, msg)
	}
	c := r.calls.Get().(*call)
	c.addr = to.Address
	shard, id := r.open(c)
	sender := &actor.PID{Address: r.system.ProcessRegistry.Address, Id: shard.name, RequestId: id}
	r.system.Root.Send(to, &actor.MessageEnvelope{Message: msg, Sender: sender})

	done := c.until(ctx, timeout)
	var answer any
	var err error
	select {
	case answer = <-c.answer:
	case <-done:
		err = fmt.Errorf("%w: %w", ErrTimeout, context.Cause(ctx))
	case <-c.timer.C:
		err = fmt.Errorf("%w: %w", ErrTimeout, context.DeadlineExceeded)
	}
	if err != nil && shard.take(id) == nil {
		answer, err = <-c.answer, nil // it came in this moment
	}
	c.timer.Stop()
	r.calls.Put(c)
	if _, gone := answer.(lost); gone {
		return nil, ErrLost
	}
	return answer, err
}

// until sets the call's timer for the end of the wait, and returns what ends it before.
func (c *call) until(ctx context.Context, timeout time.Duration) (done <-chan struct{}) {
	if deadline, ok := ctx.Deadline(); ok {
		timeout = min(timeout, time.Until(deadline))
	}
	c.timer.Reset(timeout)
	if client, ok := ctx.(interface{ Gone() <-chan struct{} }); ok {
		return client.Gone() // a context that would have to make a timer of its own for Done
	}
	return ctx.Done()
}

// open gives a call a number that no other open call has.
func (r *replies) open(c *call) (*replyShard, uint32) {
	for {
		id := r.seq.Add(1)
		if id == 0 {
			continue // protoactor takes 0 for none
		}
		s := &r.shards[id%replyShards]
		s.mu.Lock()
		if _, taken := s.open[id]; !taken {
			s.open[id] = c
			s.mu.Unlock()
			return s, id
		}
		s.mu.Unlock()
	}
}

func (s *replyShard) take(id uint32) *call {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.open[id]
	delete(s.open, id)
	return c
}

// SendUserMessage is the answer to a request; a second or late one has no call and is dropped.
func (s *replyShard) SendUserMessage(to *actor.PID, message any) {
	if c := s.take(to.RequestId); c != nil {
		_, msg, _ := actor.UnwrapEnvelope(message)
		c.answer <- msg
	}
}

// SendSystemMessage does nothing: nobody supervises or watches a request.
func (s *replyShard) SendSystemMessage(*actor.PID, any) {}

// Stop does nothing: the process lives as long as its system.
func (s *replyShard) Stop(*actor.PID) {}

// fail ends the requests to a node whose connection is gone, for their answers will not come.
func (r *replies) fail(addr string) (n int) {
	for i := range r.shards {
		s := &r.shards[i]
		s.mu.Lock()
		for id, c := range s.open {
			if c.addr == addr {
				delete(s.open, id)
				c.answer <- lost{} // has room: a call gets one answer
				n++
			}
		}
		s.mu.Unlock()
	}
	return n
}

func canTravel(msg any) bool {
	switch msg.(type) {
	case proto.Message, remote.RootSerializable:
		return true
	}
	return false
}
