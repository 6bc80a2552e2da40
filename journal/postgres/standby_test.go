package postgres_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/journal/postgres"
	"github.com/latchkey/latchkey/journal/postgres/pgtest"
)

// cluster is a PostgreSQL whose synchronous standby comes and goes, and the journal of a user without further rights.
type cluster struct {
	*pgtest.Server
	t   *testing.T
	url string
}

func startCluster(t *testing.T) *cluster {
	server, err := pgtest.Start(t.Context(), "")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Remove()) })
	for _, statement := range []string{"CREATE ROLE plain LOGIN", "CREATE DATABASE journal OWNER plain"} {
		require.NoError(t, server.Exec(t.Context(), "postgres", statement))
	}
	return &cluster{server, t, strings.Replace(server.URL("journal"), pgtest.User+"@", "plain@", 1)}
}

// standby sets which standby confirms commits, and waits until commits wait for it, or do not any more.
func (c *cluster) standby(name string) {
	c.t.Helper()
	for _, statement := range []string{"ALTER SYSTEM SET synchronous_standby_names = '" + name + "'", "SELECT pg_reload_conf()"} {
		require.NoError(c.t, c.Exec(c.t.Context(), "postgres", statement))
	}
	require.Eventually(c.t, func() bool {
		ctx, cancel := context.WithTimeout(c.t.Context(), 200*time.Millisecond)
		defer cancel()
		return (c.Exec(ctx, "postgres", "SELECT pg_logical_emit_message(true, 'test', '')") == nil) == (name == "")
	}, 20*time.Second, 10*time.Millisecond)
}

// count is the one number that a question has for an answer.
func (c *cluster) count(question string) (n int) {
	conn, err := pgx.Connect(c.t.Context(), c.URL("journal"))
	require.NoError(c.t, err)
	require.NoError(c.t, conn.QueryRow(c.t.Context(), question).Scan(&n))
	require.NoError(c.t, conn.Close(c.t.Context()))
	return n
}

// waitingForStandby are the writers that have committed.
const waitingForStandby = `WITH waiting AS MATERIALIZED (
	SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND query LIKE '%staged AS%' AND pid <> pg_backend_pid()
) SELECT count(*) FROM waiting WHERE pid > 0`

// inSight submits an append that the standby does not confirm, ends the wait for it, and returns when everybody sees it.
func (c *cluster) inSight(j journal.Journal, a journal.Append, end func()) (answer chan journal.Result) {
	c.t.Helper()
	answer = make(chan journal.Result, 1)
	j.Submit(a, func(r journal.Result) { answer <- r })
	require.Eventually(c.t, func() bool { return c.count(waitingForStandby) > 0 }, 10*time.Second, 10*time.Millisecond)
	end()
	require.Eventually(c.t, func() bool {
		return c.count("SELECT count(*) FROM records WHERE append_id = '"+a.ID+"'") > 0
	}, 20*time.Second, 10*time.Millisecond)
	return answer
}

func away(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	t.Cleanup(cancel)
	return ctx
}

// A commit that everybody sees, and the synchronous standby does not have, is lost in a failover. However the wait for the standby was
// ended, no node answers an append by it or shows it to anybody before the standby has it.
func TestNothingIsToldThatTheStandbyDoesNotHave(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(c *cluster){
		"cancelled":  func(c *cluster) { c.count(waitingForStandby + " AND pg_cancel_backend(pid)") },
		"terminated": func(c *cluster) { c.count(waitingForStandby + " AND pg_terminate_backend(pid)") },
		"restarted": func(c *cluster) {
			require.NoError(c.t, c.Kill())
			require.NoError(c.t, c.Up(c.t.Context()))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := startCluster(t)
			j, registry := openURL(t, c.url)
			other, _ := openURL(t, c.url)
			first := appended("a", 0, "first")
			first.Index = newClaims("old")
			_, err := journal.Do(t.Context(), j, first)
			require.NoError(t, err)
			_, err = other.Read(t.Context(), "a", 0, 1)
			require.NoError(t, err)

			c.standby("nobody")
			second := appended("a", 1, "second")
			second.Index = append(newClaims("new"), journal.IndexChange{Op: journal.Put, Kind: "list", Key: "k", Ref: "r"})
			answer := c.inSight(j, second, func() { end(c) })
			c.isToldOfNothing(other)
			require.Empty(t, answer)
			require.ErrorContains(t, other.Healthy(away(t)), "synchronous_standby_names")
			require.Error(t, j.Healthy(away(t)))
			_, err = postgres.Open(away(t), postgres.Options{URL: c.url})
			require.ErrorContains(t, err, "synchronous_standby_names")
			require.True(t, postgres.Unreachable(err), "a start waits for it")

			c.standby("")
			require.Equal(t, journal.Result{Version: 2, Position: 2}, <-answer)
			require.Equal(t, 1.0, counted(t, registry, "latchkey_journal_unknown_commits_total"))
			c.isToldOfAll(other)
			require.NoError(t, j.Healthy(t.Context()))
		})
	}
}

// isToldOfNothing looks at the second append of the test above in all ways that there are.
func (c *cluster) isToldOfNothing(j journal.Journal) {
	t := c.t
	_, _, err := j.Head(away(t), "a")
	require.ErrorContains(t, err, "synchronous_standby_names")
	_, err = j.Read(away(t), "a", 0, 2)
	require.ErrorContains(t, err, "synchronous_standby_names")
	_, err = j.ReadAll(away(t), 1, 1)
	require.ErrorContains(t, err, "synchronous_standby_names")
	_, err = j.Claimed(away(t), "temp-key", "new")
	require.ErrorContains(t, err, "synchronous_standby_names")
	_, err = j.Entries(away(t), "list", "k", "", 1)
	require.ErrorContains(t, err, "synchronous_standby_names")

	old, err := j.Read(away(t), "a", 0, 1)
	require.NoError(t, err)
	require.Equal(t, "first", old[0].AppendID, "what the standby has can be shown")
}

func (c *cluster) isToldOfAll(j journal.Journal) {
	t := c.t
	version, id, err := j.Head(t.Context(), "a")
	require.NoError(t, err)
	require.EqualValues(t, 2, version)
	require.Equal(t, "second", id)
	records, err := j.ReadAll(t.Context(), 0, 3)
	require.NoError(t, err)
	require.Len(t, records, 2)
	holder, err := j.Claimed(t.Context(), "temp-key", "new")
	require.NoError(t, err)
	require.Equal(t, "a", holder)
	entries, err := j.Entries(t.Context(), "list", "k", "", 1)
	require.NoError(t, err)
	require.Equal(t, []journal.Entry{{Ref: "r", Stream: "a"}}, entries)
}

// A refusal tells of what was found, too: a claim that a failover would undo is nobody's.
func TestAClaimThatTheStandbyDoesNotHaveRefusesNobody(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	j, _ := openURL(t, c.url)
	other, _ := openURL(t, c.url)
	c.standby("nobody")
	theirs := appended("theirs", 0, "theirs")
	theirs.Index = newClaims("key")
	answer := c.inSight(j, theirs, func() { c.count(waitingForStandby + " AND pg_cancel_backend(pid)") })

	mine := appended("mine", 0, "mine")
	mine.Index = newClaims("key")
	mine.Deadline = time.Now().Add(time.Second)
	_, err := journal.Do(t.Context(), other, mine)
	require.ErrorIs(t, err, journal.ErrDeadline)

	c.standby("")
	require.NoError(t, (<-answer).Err)
	mine.Deadline = time.Time{}
	var taken *journal.ClaimError
	_, err = journal.Do(t.Context(), other, mine)
	require.ErrorAs(t, err, &taken)
}

// The whole story: the standby is away, an append waits for it for longer than the journal does, and then the primary dies.
func TestFailoverToTheSynchronousStandbyLosesNothing(t *testing.T) {
	t.Parallel()
	primary, err := pgtest.Start(t.Context(), "")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, primary.Remove()) })
	standby, err := primary.Standby(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, standby.Remove()) })
	c := &cluster{primary, t, primary.TCP(primary.Addr()+","+standby.Addr(), "postgres")}
	for _, statement := range []string{"ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()"} {
		require.NoError(t, primary.Exec(t.Context(), "postgres", statement))
	}
	require.Eventually(t, func() bool {
		return primary.Exec(t.Context(), "postgres", "SELECT 1/count(*) FROM pg_stat_replication WHERE sync_state = 'sync'") == nil
	}, 20*time.Second, 10*time.Millisecond)

	j, registry := openURL(t, c.url)
	_, err = journal.Do(t.Context(), j, appended("a", 0, "confirmed"))
	require.NoError(t, err)
	require.NoError(t, standby.Stop())
	waits := appended("a", 1, "waits")
	waits.Deadline = time.Now().Add(7 * time.Second)
	_, err = journal.Do(t.Context(), j, waits)
	require.ErrorIs(t, err, journal.ErrUnknown)
	require.ErrorContains(t, err, "synchronous_standby_names")
	require.Equal(t, 1.0, counted(t, registry, "latchkey_journal_unknown_commits_total"))

	require.NoError(t, primary.Kill())
	require.NoError(t, standby.Up(t.Context()))
	require.NoError(t, standby.Exec(t.Context(), "postgres", "ALTER SYSTEM RESET synchronous_standby_names"))
	require.NoError(t, standby.Promote(t.Context()))
	require.Eventually(t, func() bool { return j.Healthy(t.Context()) == nil }, 20*time.Second, 10*time.Millisecond)
	version, id, err := j.Head(t.Context(), "a")
	require.NoError(t, err)
	require.EqualValues(t, 1, version)
	require.Equal(t, "confirmed", id)
	_, err = journal.Do(t.Context(), j, appended("a", 1, "again"))
	require.NoError(t, err)
}
