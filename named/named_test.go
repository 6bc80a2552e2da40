package named_test

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/journal/memory"
	"github.com/latchkey/latchkey/lock"
	"github.com/latchkey/latchkey/named"
)

var (
	midnight = time.Date(2026, 5, 2, 0, 0, 0, 0, time.UTC)
	acme     = lock.Caller{OrgID: "acme"}
)

func newJournal(t *testing.T) journal.Journal {
	t.Helper()
	j := memory.New()
	t.Cleanup(func() { require.NoError(t, j.Close()) })
	return j
}

func request(by lock.Caller, key, body string) *named.Request {
	return &named.Request{By: by, Key: key, Hash: []byte(body)}
}

// carryOut appends an effect with the request's name.
func carryOut(t *testing.T, j journal.Journal, r *named.Request, stream string, now time.Time) error {
	version, _, err := j.Head(t.Context(), stream)
	require.NoError(t, err)
	a := journal.Append{Stream: stream, Expected: version, ID: uuid.NewString(), Records: []journal.NewRecord{{Type: "Effect", Time: now}}}
	require.NoError(t, r.Join(&a, now))
	_, err = journal.Do(t.Context(), j, a)
	return err
}

func TestARequestIsFoundAgain(t *testing.T) {
	t.Parallel()
	j := newJournal(t)
	first := request(acme, "n1", "a")
	before, err := first.Before(t.Context(), j, midnight)
	require.NoError(t, err)
	require.Nil(t, before)
	require.NoError(t, carryOut(t, j, first, "things/1", midnight))
	require.False(t, first.Replayed)

	again := request(acme, "n1", "a")
	before, err = again.Before(t.Context(), j, midnight.Add(time.Hour))
	require.NoError(t, err)
	require.True(t, again.Replayed)
	records, err := j.Read(t.Context(), "things/1", 0, 10)
	require.NoError(t, err)
	require.Equal(t, &named.Found{Stream: "things/1", Version: 2, AppendID: records[0].AppendID}, before)

	_, err = request(acme, "n1", "b").Before(t.Context(), j, midnight)
	require.ErrorIs(t, err, lock.ErrKeyReused)
	for _, other := range []*named.Request{
		request(acme, "n2", "a"), request(lock.Caller{OrgID: "umbrella"}, "n1", "a"), request(lock.Caller{UserID: "acme"}, "n1", "a"),
		request(lock.Caller{Super: true}, "n1", "a"), request(lock.Caller{OrgID: "acme", UserID: "ann"}, "n1", "a"), nil,
	} {
		before, err = other.Before(t.Context(), j, midnight)
		require.NoError(t, err)
		require.Nil(t, before)
	}
	rows, err := j.Index(t.Context(), journal.IndexRow{}, 10)
	require.NoError(t, err)
	for _, row := range rows {
		require.NotContains(t, row.Key, "n1", "the index gives no names away")
	}
}

func TestARequestThatChangesNothingIsRemembered(t *testing.T) {
	t.Parallel()
	j := newJournal(t)
	require.NoError(t, request(acme, "n1", "a").Keep(t.Context(), j, midnight, "things/7", 3))
	before, err := request(acme, "n1", "a").Before(t.Context(), j, midnight)
	require.NoError(t, err)
	require.Equal(t, &named.Found{Stream: "things/7", Version: 3}, before)
	_, err = request(acme, "n1", "b").Before(t.Context(), j, midnight)
	require.ErrorIs(t, err, lock.ErrKeyReused)
	require.ErrorIs(t, request(acme, "n1", "a").Keep(t.Context(), j, midnight, "things/7", 3), journal.ErrConflict)
	require.NoError(t, (*named.Request)(nil).Keep(t.Context(), j, midnight, "things/7", 3))
}

// A name is remembered for a day at least and for two at most, whatever the time of day is, and though clocks differ.
func TestHowLongANameIsRemembered(t *testing.T) {
	t.Parallel()
	for _, at := range []time.Duration{0, time.Millisecond, 12 * time.Hour, 24*time.Hour - time.Millisecond} {
		at := midnight.Add(at)
		j := newJournal(t)
		require.NoError(t, carryOut(t, j, request(acme, "n1", "a"), "things/1", at))
		for later, known := range map[time.Duration]bool{-time.Minute: true, 0: true, 24*time.Hour - 1: true, 48 * time.Hour: false} {
			before, err := request(acme, "n1", "a").Before(t.Context(), j, at.Add(later))
			require.NoError(t, err)
			require.Equal(t, known, before != nil, "%s after %s", later, at)
			if known {
				var taken *journal.ClaimError
				require.ErrorAs(t, carryOut(t, j, request(acme, "n1", "b"), "things/2", at.Add(later)), &taken)
			}
		}
		require.NoError(t, carryOut(t, j, request(acme, "n1", "b"), "things/1", at.Add(48*time.Hour)), "it is free again, also in its stream")
		before, err := request(acme, "n1", "b").Before(t.Context(), j, at.Add(48*time.Hour))
		require.NoError(t, err)
		require.EqualValues(t, 4, before.Version)
	}
}

// Of all who carry a request out at once, each in a stream of its own, one does.
func TestOneOfManyGetsTheName(t *testing.T) {
	t.Parallel()
	j := newJournal(t)
	var got atomic.Int64
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			// Their clocks are on two sides of midnight.
			now := midnight.Add(time.Duration(i-10) * time.Millisecond)
			err := carryOut(t, j, request(acme, "n1", "a"), "things/"+string(rune('a'+i)), now)
			var taken *journal.ClaimError
			if err == nil {
				got.Add(1)
			} else if !errors.As(err, &taken) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	require.EqualValues(t, 1, got.Load())
}

// What has effects in many streams takes its name first.
func TestANameThatIsTakenFirst(t *testing.T) {
	t.Parallel()
	j := newJournal(t)
	names := named.NewNames(j, func() time.Time { return midnight })
	var all sync.WaitGroup
	var refused atomic.Int64
	for i := range 10 {
		all.Go(func() {
			err := names.Begin(t.Context(), request(acme, "n1", string(rune('a'+i%2))))
			if errors.Is(err, lock.ErrKeyReused) {
				refused.Add(1)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	require.EqualValues(t, 5, refused.Load(), "all who want the same may go on, and nobody else")
}

// failing is a journal that answers so many questions, and then none.
type failing struct {
	journal.Journal
	answers int
}

func (f *failing) Claimed(ctx context.Context, kind, key string) (string, error) {
	if f.answers--; f.answers < 0 {
		return "", errors.New("connection refused")
	}
	return f.Journal.Claimed(ctx, kind, key)
}

func (f *failing) Read(context.Context, string, uint64, int) ([]journal.Record, error) {
	return nil, errors.New("connection refused")
}

// Whoever could not ask for a name has not taken it.
func TestWhatIsNotAnsweredHasNotHappened(t *testing.T) {
	t.Parallel()
	j := newJournal(t)
	now := func() time.Time { return midnight }
	for answers := range 2 {
		require.ErrorIs(t, named.NewNames(&failing{j, answers}, now).Begin(t.Context(), request(acme, "n1", "a")), named.ErrUnavailable)
	}
	before, err := request(acme, "n1", "a").Before(t.Context(), j, midnight)
	require.NoError(t, err)
	require.Nil(t, before)
	require.NoError(t, named.NewNames(j, now).Begin(t.Context(), request(acme, "n1", "a")))
	require.ErrorIs(t, named.NewNames(&failing{j, 1}, now).Begin(t.Context(), request(acme, "n1", "a")), named.ErrUnavailable)
}

func TestACallHasItsName(t *testing.T) {
	t.Parallel()
	require.Nil(t, named.From(context.Background()))
	r := request(acme, "n1", "a")
	require.Same(t, r, named.From(named.With(t.Context(), r)))
	require.Nil(t, named.From(context.Background()).Mark())
	require.Empty(t, (*named.Mark)(nil).Claims(midnight))
}

// A name from before is known by its user only. It answers the same request, as far as the caller has a right to what it has led to.
func TestANameFromBeforeTellsOfItsUserOnly(t *testing.T) {
	t.Parallel()
	j := newJournal(t)
	m := named.Remembered{At: midnight, Mark: named.Mark{Of: "user:ann", Key: "n1", Hash: []byte("a")}, Stream: "things/7", Version: 3}
	data, err := json.Marshal(m)
	require.NoError(t, err)
	_, err = journal.Do(t.Context(), j, journal.Append{
		Stream: named.StreamPrefix + "1", ID: uuid.NewString(), Index: m.Claims(midnight),
		Records: []journal.NewRecord{{Type: named.RecordType, Time: midnight, Data: data}},
	})
	require.NoError(t, err)
	for _, by := range []lock.Caller{{UserID: "ann"}, {OrgID: "acme", UserID: "ann"}, {Super: true, UserID: "ann"}} {
		again := request(by, "n1", "a")
		before, err := again.Before(t.Context(), j, midnight)
		require.NoError(t, err)
		require.Equal(t, &named.Found{Stream: "things/7", Version: 3}, before)
		require.True(t, again.Replayed)
		again.Disown()
		require.False(t, again.Replayed)
		other := request(by, "n1", "b")
		before, err = other.Before(t.Context(), j, midnight)
		require.NoError(t, err, "it may be another caller's name")
		require.Nil(t, before)
		require.NoError(t, carryOut(t, j, again, "things/"+by.Scope(), midnight))
	}
}
