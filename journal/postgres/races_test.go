package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/journal/journaltest"
	"github.com/latchkey/latchkey/journal/postgres/pgtest"
)

const nodes = 3

// naiveReader reads whatever has a higher position than the last that it saw, until it is told to stop, and returns how
// many records it saw. It fails when it sees a gap.
func naiveReader(t *testing.T, database string, stop chan struct{}) (seen int64) {
	conn, err := pgx.Connect(t.Context(), pgtest.Shared(t).URL(database))
	if err != nil {
		t.Error(err)
		return 0
	}
	defer func() { _ = conn.Close(context.Background()) }()
	for last := false; ; {
		rows, _ := conn.Query(t.Context(), "SELECT position FROM records WHERE position > $1 ORDER BY position", seen)
		positions, err := pgx.CollectRows(rows, pgx.RowTo[int64])
		if err != nil {
			t.Error(err)
			return seen
		}
		for _, p := range positions {
			if seen++; p != seen {
				t.Errorf("the reader found position %d when %d was due", p, seen)
				return seen
			}
		}
		if last && len(positions) == 0 {
			return seen
		}
		select {
		case <-stop:
			last = true
		default:
		}
	}
}

func TestNodesRace(t *testing.T) {
	t.Parallel()
	const callers, shared, each = 24, 10, 60
	database := pgtest.Database(t)
	var wrote sync.WaitGroup
	var won, lost atomic.Int64
	var registries [nodes]*prometheus.Registry
	for n := range nodes {
		j, registry := openURL(t, pgtest.Shared(t).URL(database))
		registries[n] = registry
		for c := range callers {
			wrote.Go(func() {
				own := fmt.Sprintf("own/%d/%d", n, c)
				for i := range uint64(each) {
					// Nobody else appends to this stream: another's conflict in the same batch must not matter.
					if _, err := journal.Do(t.Context(), j, appended(own, i, fmt.Sprintf("%s@%d", own, i))); err != nil {
						t.Error(err)
						return
					}
					stream := fmt.Sprint("shared/", rand.IntN(shared))
					version, _, err := j.Head(t.Context(), stream)
					if err != nil {
						t.Error(err)
						return
					}
					switch _, err := journal.Do(t.Context(), j, appended(stream, version, fmt.Sprintf("%s@%d by %s", stream, version, own))); {
					case err == nil:
						won.Add(1)
					case errors.Is(err, journal.ErrConflict):
						lost.Add(1)
					default:
						t.Error(err)
						return
					}
				}
			})
		}
	}
	stop := make(chan struct{})
	seen := make(chan int64, 1)
	go func() { seen <- naiveReader(t, database, stop) }()
	wrote.Wait()
	close(stop)
	total := int64(nodes*callers*each) + won.Load()
	require.Equal(t, total, <-seen)
	require.Len(t, journaltest.Whole(t, open(t, database)), int(total))
	require.Positive(t, lost.Load(), "they raced")
	for _, registry := range registries {
		require.Zero(t, counted(t, registry, "latchkey_journal_retries_total"), "a deadlock, or something else that should not happen")
	}
	t.Logf("%d records, %d conflicts", total, lost.Load())
}

func TestNodesRaceForClaims(t *testing.T) {
	t.Parallel()
	const claims = 150
	database := pgtest.Database(t)
	var wg sync.WaitGroup
	var registries [nodes]*prometheus.Registry
	var winners [claims]atomic.Pointer[string]
	for n := range nodes {
		j, registry := openURL(t, pgtest.Shared(t).URL(database))
		registries[n] = registry
		for i := range claims {
			wg.Go(func() {
				stream := fmt.Sprintf("node%d/%d", n, i)
				a := appended(stream, 0, stream)
				a.Index = []journal.IndexChange{
					{Op: journal.Claim, Kind: "own", Key: stream},
					{Op: journal.Claim, Kind: "shared", Key: fmt.Sprint(i)},
					{Op: journal.Put, Kind: "all", Key: "all", Ref: fmt.Sprint(i)},
				}
				_, err := journal.Do(t.Context(), j, a)
				var taken *journal.ClaimError
				switch {
				case err == nil:
					if !winners[i].CompareAndSwap(nil, &stream) {
						t.Errorf("two have claim %d", i)
					}
				case !errors.As(err, &taken) || taken.Kind != "shared" || taken.Key != fmt.Sprint(i):
					t.Error(err)
				}
				// Who lost goes on with something else.
				if err != nil {
					if _, err := journal.Do(t.Context(), j, appended(stream, 0, stream)); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	wg.Wait()
	j := open(t, database)
	for i := range claims {
		require.NotNil(t, winners[i].Load(), "nobody has claim %d", i)
		holder, err := j.Claimed(t.Context(), "shared", fmt.Sprint(i))
		require.NoError(t, err)
		require.Equal(t, *winners[i].Load(), holder)
	}
	entries, err := j.Entries(t.Context(), "all", "all", "", claims+1)
	require.NoError(t, err)
	require.Len(t, entries, claims)
	require.Len(t, journaltest.Whole(t, j), claims*nodes)
	for _, registry := range registries {
		require.Zero(t, counted(t, registry, "latchkey_journal_split_batches_total"))
	}
}

// TestPoisonedBatch has PostgreSQL refuse some appends for what is in them: each fails alone.
func TestPoisonedBatch(t *testing.T) {
	t.Parallel()
	const appends = 200
	database := pgtest.Database(t)
	j, registry := openURL(t, pgtest.Shared(t).URL(database))
	long := make([]byte, 5000)
	for i := range long {
		long[i] = byte('a' + rand.IntN(26))
	}
	poison := map[int]string{40: "null \x00", 41: "half a rune \xc3", 130: "longer than an index row " + string(long)}
	answers := make(chan error, appends)
	for i := range appends {
		stream := fmt.Sprint("s", i%50)
		a := appended(stream, uint64(i/50), fmt.Sprint(i))
		var want error
		if text, bad := poison[i]; bad {
			a.Stream, a.Expected, want = text, 0, journal.ErrInvalid
		} else if poison[i-50]+poison[i-100]+poison[i-150] != "" {
			want = journal.ErrConflict // it builds on the one that was refused
		}
		j.Submit(a, func(r journal.Result) {
			if !errors.Is(r.Err, want) {
				answers <- fmt.Errorf("append %d: want %w, got %w", i, want, r.Err)
				return
			}
			answers <- nil
		})
	}
	for range appends {
		select {
		case err := <-answers:
			require.NoError(t, err)
		case <-time.After(30 * time.Second):
			t.Fatal("an answer never came")
		}
	}
	require.Len(t, journaltest.Whole(t, j), appends-len(poison)-3-3-1) // with those that build on them
	require.Positive(t, counted(t, registry, "latchkey_journal_split_batches_total"))
	require.NoError(t, j.Healthy(t.Context()))
}
