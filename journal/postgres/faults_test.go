package postgres_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/internal/dose"
	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/journal/journaltest"
	"github.com/latchkey/latchkey/journal/postgres/pgtest"
)

// appended is an append of one record.
func appended(stream string, expected uint64, id string) journal.Append {
	return journal.Append{
		Stream: stream, Expected: expected, ID: id,
		Records: []journal.NewRecord{{Type: "Happened", Time: time.Now(), Data: []byte(`"` + id + `"`)}},
	}
}

// load appends to streams of its own until it is told to stop. Every append must work.
type load struct {
	t        *testing.T
	j        journal.Journal
	patience time.Duration // deadline of each append
	stop     chan struct{}
	wg       sync.WaitGroup
	acked    []atomic.Uint64
}

func startLoad(t *testing.T, j journal.Journal, callers int, patience time.Duration) *load {
	l := &load{t: t, j: j, patience: patience, stop: make(chan struct{}), acked: make([]atomic.Uint64, callers)}
	for c := range callers {
		l.wg.Go(func() { l.call(c) })
	}
	return l
}

func (l *load) call(c int) {
	for version := uint64(0); ; version++ {
		select {
		case <-l.stop:
			return
		default:
		}
		stream := fmt.Sprint("load/", c)
		ctx, cancel := context.WithTimeout(l.t.Context(), l.patience)
		_, err := journal.Do(ctx, l.j, appended(stream, version, fmt.Sprintf("%s@%d", stream, version)))
		cancel()
		if err != nil {
			l.t.Errorf("%s at %d: %v", stream, version, err)
			return
		}
		l.acked[c].Store(version + 1)
	}
}

// sum is how many appends were acknowledged.
func (l *load) sum() (sum uint64) {
	for c := range l.acked {
		sum += l.acked[c].Load()
	}
	return sum
}

// check ends the load, and looks whether all that was acknowledged is in the journal, once.
func (l *load) check() {
	l.t.Helper()
	close(l.stop)
	l.wg.Wait()
	l.appendedOnce()
	for c := range l.acked {
		version, _, err := l.j.Head(l.t.Context(), fmt.Sprint("load/", c))
		require.NoError(l.t, err)
		require.Equal(l.t, l.acked[c].Load(), version)
	}
}

func (l *load) appendedOnce() {
	l.t.Helper()
	seen := map[string]bool{}
	for _, r := range journaltest.Whole(l.t, l.j) {
		require.False(l.t, seen[r.AppendID], "%s was appended twice", r.AppendID)
		seen[r.AppendID] = true
	}
}

// counted is the value of a counter, summed over its labels.
func counted(t *testing.T, g prometheus.Gatherer, name string) (sum float64) {
	t.Helper()
	families, err := g.Gather()
	require.NoError(t, err)
	for _, f := range families {
		if f.GetName() == name {
			for _, m := range f.GetMetric() {
				sum += m.GetCounter().GetValue()
			}
		}
	}
	return sum
}

func TestEveryLostCommitIsResolved(t *testing.T) {
	t.Parallel()
	lost := uint64(dose.Of(51, 1000))
	database, server := pgtest.Database(t), pgtest.Shared(t)
	p := newProxy(t, server.Addr())
	j, registry := openURL(t, server.TCP(p.Addr().String(), database))

	l := startLoad(t, j, 8, time.Minute)
	for i := range lost {
		id := fmt.Sprintf("cut-%d.", i)
		p.arm(id, cut(i)%cuts)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		a := appended("cut", i, id)
		a.Index = newClaims(id, "and "+id) // which are its own, and not in its way, once they are stored
		r, err := journal.Do(ctx, j, a)
		cancel()
		require.NoError(t, err)
		require.Equal(t, i+1, r.Version)
		record, err := j.ReadAll(t.Context(), r.Position-1, 1)
		require.NoError(t, err)
		require.Equal(t, id, record[0].AppendID)
	}
	l.check()
	require.GreaterOrEqual(t, counted(t, registry, "latchkey_journal_unknown_commits_total"), float64(lost))
	require.GreaterOrEqual(t, counted(t, registry, "latchkey_journal_reconnects_total"), float64(lost))
}

func newClaims(keys ...string) (index []journal.IndexChange) {
	for _, key := range keys {
		index = append(index, journal.IndexChange{Op: journal.Claim, New: true, Kind: "temp-key", Key: key})
	}
	return index
}

// TestLostCommitOfAClaimThatIsNotNew cuts the connection while an append wants what its stream has claimed before.
func TestLostCommitOfAClaimThatIsNotNew(t *testing.T) {
	t.Parallel()
	database, server := pgtest.Database(t), pgtest.Shared(t)
	p := newProxy(t, server.Addr())
	j, _ := openURL(t, server.TCP(p.Addr().String(), database))
	first := appended("s", 0, "first")
	first.Index = newClaims("gone")
	_, err := journal.Do(t.Context(), j, first)
	require.NoError(t, err)
	for i := range uint64(9) {
		id := fmt.Sprintf("late-%d.", i)
		p.arm(id, cut(i)%cuts)
		again := appended("s", 1, id)
		again.Index = newClaims(id, "gone")
		var taken *journal.ClaimError
		_, err := journal.Do(t.Context(), j, again)
		require.ErrorAs(t, err, &taken)
		require.Equal(t, "gone", taken.Key)
		holder, err := j.Claimed(t.Context(), "temp-key", id)
		require.NoError(t, err)
		require.Empty(t, holder)
	}
	require.Len(t, journaltest.Whole(t, j), 1)
}

// TestSilentConnection has a connection go silent, as when a network is cut in two: nobody ends it.
func TestSilentConnection(t *testing.T) {
	t.Parallel()
	database, server := pgtest.Database(t), pgtest.Shared(t)
	p := newProxy(t, server.Addr())
	j, registry := openURL(t, server.TCP(p.Addr().String(), database))
	p.arm("silent", silence)
	r, err := journal.Do(t.Context(), j, appended("a", 0, "silent"))
	require.NoError(t, err)
	require.Equal(t, journal.Result{Version: 1, Position: 1}, r)
	require.Equal(t, 1.0, counted(t, registry, "latchkey_journal_unknown_commits_total"))
	require.Len(t, journaltest.Whole(t, j), 1)
}

// TestLostCommitOfAConflict cuts the connection while somebody else moves the stream: it must not be taken for ours.
func TestLostCommitOfAConflict(t *testing.T) {
	t.Parallel()
	database, server := pgtest.Database(t), pgtest.Shared(t)
	p := newProxy(t, server.Addr())
	j, _ := openURL(t, server.TCP(p.Addr().String(), database))
	other := open(t, database)
	for i := range uint64(9) {
		id := fmt.Sprintf("same-%d.", i) // the same request, decided by two activations
		theirs := appended("s", i, id)
		theirs.Records[0].Data = []byte(`"theirs"`)
		_, err := journal.Do(t.Context(), other, theirs)
		require.NoError(t, err)
		p.arm(id, cut(i)%cuts)
		_, err = journal.Do(t.Context(), j, appended("s", i, id))
		require.ErrorIs(t, err, journal.ErrConflict)
	}
}

func TestUnknownWhenTheDatabaseStaysAway(t *testing.T) {
	t.Parallel()
	database, server := pgtest.Database(t), pgtest.Shared(t)
	p := newProxy(t, server.Addr())
	j, _ := openURL(t, server.TCP(p.Addr().String(), database))
	_, err := journal.Do(t.Context(), j, appended("a", 0, "first"))
	require.NoError(t, err)

	require.NoError(t, p.Close()) // nobody can connect again
	p.arm("lost", afterAnswer)
	lost := appended("a", 1, "lost")
	lost.Deadline = time.Now().Add(time.Second)
	_, err = journal.Do(t.Context(), j, lost)
	require.ErrorIs(t, err, journal.ErrUnknown)
	require.NotErrorIs(t, err, journal.ErrConflict)
	p.cutAll() // those for reading, too
	require.Error(t, j.Healthy(t.Context()))

	late := appended("b", 0, "late")
	late.Deadline = time.Now().Add(time.Second)
	_, err = journal.Do(t.Context(), j, late)
	require.ErrorIs(t, err, journal.ErrDeadline)

	waiting := make(chan error, 1)
	j.Submit(appended("c", 0, "waits"), func(r journal.Result) { waiting <- r.Err })
	start := time.Now()
	require.NoError(t, j.Close())
	require.Less(t, time.Since(start), 8*time.Second)
	require.ErrorIs(t, <-waiting, journal.ErrClosed)

	records := journaltest.Whole(t, open(t, database))
	require.Len(t, records, 2)
	require.Equal(t, "lost", records[1].AppendID)
}

func TestPostgreSQLStartsAgainUnderLoad(t *testing.T) {
	t.Parallel()
	server, err := pgtest.Start(t.Context(), "")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Remove()) })
	require.NoError(t, server.CreateDatabase(t.Context(), "journal"))
	j, _ := openURL(t, server.URL("journal"))

	l := startLoad(t, j, 16, time.Minute)
	progress := func() {
		before := l.sum()
		require.Eventually(t, func() bool { return l.sum() > before+100 }, 20*time.Second, time.Millisecond)
	}
	for i := range dose.Of(3, 50) {
		end := server.Kill
		if i%2 == 1 {
			end = server.Stop
		}
		progress()
		require.NoError(t, end())
		require.Eventually(t, func() bool { return j.Healthy(t.Context()) != nil }, 5*time.Second, 10*time.Millisecond)
		require.NoError(t, server.Up(t.Context()))
		back := time.Now()
		before := l.sum()
		require.Eventually(t, func() bool { return l.sum() > before }, 20*time.Second, time.Millisecond)
		require.Less(t, time.Since(back), 5*time.Second)
		t.Logf("writes resumed after %v", time.Since(back).Round(time.Millisecond))
	}
	progress()
	require.NoError(t, j.Healthy(t.Context()))
	l.check()
}

func TestStatementThatHangsIsTriedAgain(t *testing.T) {
	t.Parallel()
	database, server := pgtest.Database(t), pgtest.Shared(t)
	j := open(t, database)
	_, err := journal.Do(t.Context(), j, appended("a", 0, "first"))
	require.NoError(t, err)

	conn, err := pgx.Connect(t.Context(), server.URL(database))
	require.NoError(t, err)
	tx, err := conn.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "SELECT last_position()")
	require.NoError(t, err)

	answer := make(chan error, 1)
	j.Submit(appended("a", 1, "second"), func(r journal.Result) { answer <- r.Err })
	require.Eventually(t, func() bool {
		err := j.Healthy(t.Context()) // though it can be asked
		return err != nil && strings.Contains(err.Error(), "appends do not get through")
	}, 10*time.Second, 10*time.Millisecond)
	require.NoError(t, conn.Close(t.Context())) // lets the positions go
	require.NoError(t, <-answer)
	require.NoError(t, j.Healthy(t.Context()))
	require.Len(t, journaltest.Whole(t, j), 2)
}

// TestHealthyAgainWithoutTraffic has the database come back when nobody appends: a node that is taken out of the traffic
// because it is not healthy must not wait for an append to become so.
func TestHealthyAgainWithoutTraffic(t *testing.T) {
	t.Parallel()
	server, err := pgtest.Start(t.Context(), "")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Remove()) })
	j, _ := openURL(t, server.URL("postgres"))
	_, err = journal.Do(t.Context(), j, appended("a", 0, "1"))
	require.NoError(t, err)
	require.NoError(t, server.Kill())
	late := appended("a", 1, "2")
	late.Deadline = time.Now().Add(300 * time.Millisecond)
	_, err = journal.Do(t.Context(), j, late)
	require.Error(t, err)
	require.Error(t, j.Healthy(t.Context()))
	require.NoError(t, server.Up(t.Context()))
	require.Eventually(t, func() bool { return j.Healthy(t.Context()) == nil }, 5*time.Second, 10*time.Millisecond)
}
