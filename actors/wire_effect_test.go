package actors

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/latchkey/latchkey/actors/actorspb"
	"github.com/latchkey/latchkey/lock"
)

// The effects that travel. The test fails when lock has one more.
var effects = byName(new(lock.SendOpen), new(lock.SendKey), new(lock.SendConfig), new(lock.AskStatus), new(lock.AckEvents), new(lock.CloseSession))

func TestEveryEffectTravels(t *testing.T) {
	t.Parallel()
	require.Equal(t, receivers(t, "To"), slices.Sorted(maps.Keys(effects)))
	for name, typ := range effects {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newFiller(t)
			rapid.Check(t, func(rt *rapid.T) {
				sent := g.value(rt, typ).Addr().Interface().(lock.Effect)
				open, isTimed := timed(sent)
				if isTimed {
					open.NotAfter = time.Now().Add(time.Duration(rapid.Int64Range(-10, 10).Draw(rt, "left")) * time.Second)
					open.NotAfterMono = max(open.NotAfterMono, 1)
				}
				in := travel(rt, &delivery{origin: "a", number: 7, lock: 5, effect: sent}).(*actorspb.IncomingEffect)
				require.Equal(rt, "a", in.GetOrigin())
				require.EqualValues(rt, 7, in.GetNumber())
				require.EqualValues(rt, 5, in.GetLockId())
				got, err := effectOf(in)
				require.NoError(rt, err)
				if isTimed {
					arrived, _ := timed(got)
					require.WithinDuration(rt, open.NotAfter, arrived.NotAfter, 5*time.Second)
					arrived.NotAfter = open.NotAfter
				}
				require.Equal(rt, sent, got)
			})
		})
	}
}

// timed is what the effects with a deadline have in common.
func timed(e lock.Effect) (*lock.SendOpen, bool) {
	if key, ok := e.(*lock.SendKey); ok {
		return &key.SendOpen, true
	}
	open, ok := e.(*lock.SendOpen)
	return open, ok
}

func TestAnEffectThatIsNotUnderstoodIsRefused(t *testing.T) {
	t.Parallel()
	_, err := effectOf(&actorspb.IncomingEffect{Effect: &actorspb.Effect{}})
	require.ErrorContains(t, err, "does not know")
	_, err = effectOf(&actorspb.IncomingEffect{Effect: &actorspb.Effect{Effect: &actorspb.Effect_SendOpen{SendOpen: &actorspb.SendOpen{}}}})
	require.ErrorIs(t, err, errNoBound)
	_, err = (&delivery{effect: struct{ *lock.AckEvents }{new(lock.AckEvents)}}).Serialize()
	require.ErrorContains(t, err, "cannot travel")
}
