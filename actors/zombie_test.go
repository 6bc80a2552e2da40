package actors

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/cluster"
	"github.com/latchkey/latchkey/cluster/clusterpb"
)

// zombie is a node that runs grains which another node runs too, as it happens while two nodes disagree on who is a member.
type zombie struct {
	system *actor.ActorSystem
	props  *actor.Props
	mu     sync.Mutex // one grain of a name at a time
}

func (z *zombie) Request(ctx context.Context, kind, identity string, msg any) (any, error) {
	for ctx.Err() == nil {
		// A plain mailbox drops what is behind a stop, so the message is sent again after a while. Its ID makes that safe.
		answer := z.ask(z.pid(kind, identity), msg, 100*time.Millisecond)
		switch answer.(type) {
		case nil, *clusterpb.Retry, *actor.DeadLetterResponse:
			continue
		}
		return answer, nil
	}
	return nil, ctx.Err()
}

// ask waits for an answer, nil when none comes in time. A future of protoactor must not get one then.
func (z *zombie) ask(pid *actor.PID, msg any, timeout time.Duration) any {
	answers := make(chan any, 1)
	self := z.system.Root.Spawn(actor.PropsFromFunc(func(ctx actor.Context) {
		switch m := ctx.Message().(type) {
		case actor.SystemMessage, actor.AutoReceiveMessage:
		default:
			select {
			case answers <- m:
			default:
			}
		}
	}))
	defer z.system.Root.Stop(self)
	z.system.Root.RequestWithCustomSender(pid, msg, self)
	select {
	case answer := <-answers:
		return answer
	case <-time.After(timeout):
		return nil
	}
}

func (z *zombie) TellLocal(kind, identity string, msg any) bool {
	z.system.Root.Send(z.pid(kind, identity), msg)
	return true
}

func (*zombie) TellMember(string, string, any) bool { return false }
func (*zombie) Listen(string, func(any))            {}
func (*zombie) Members() []cluster.Member           { return nil }
func (*zombie) Moved() time.Time                    { return time.Time{} }
func (*zombie) Owner(string, string) string         { return self }

func (z *zombie) pid(kind, identity string) *actor.PID {
	z.mu.Lock()
	defer z.mu.Unlock()
	pid, _ := z.system.Root.SpawnNamed(z.props, kind+"/"+identity) // or the one that runs
	return pid
}

// startZombie brings a world up on a node of its own kind, beside another world with the same journal.
func startZombie(t *testing.T, beside *world) *world {
	t.Helper()
	w := &world{t: t, journal: beside.journal, doors: newDoors(), metrics: newRegistry()}
	var err error
	w.Locks, err = New(Options{Journal: w.journal, Registerer: w.metrics})
	require.NoError(t, err)
	z := &zombie{
		system: actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger {
			return slog.New(slog.DiscardHandler)
		})),
		props: w.Kinds()[Kind],
	}
	w.doors.locks = w.Locks
	w.Join(z, self, w.doors)
	t.Cleanup(func() {
		for _, pid := range w.pids() {
			require.NoError(t, z.system.Root.StopFuture(pid).Wait())
		}
		w.Close()
		z.system.Shutdown()
	})
	return w
}
