package sqlite_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/internal/dose"
	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/journal/journaltest"
	"github.com/latchkey/latchkey/journal/sqlite"
)

func TestKill9InMidWrite(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "journal.db")
	var acknowledged []string
	kills := dose.Of(20, 500)
	for range kills {
		c := start(t, "write", path)
		for enough := 20 + rand.IntN(400); enough > 0 && c.lines.Scan(); enough-- {
			acknowledged = append(acknowledged, strings.TrimPrefix(c.lines.Text(), "acknowledged "))
		}
		require.NoError(t, c.Process.Kill())
		for c.lines.Scan() { // what it said before it died
			acknowledged = append(acknowledged, strings.TrimPrefix(c.lines.Text(), "acknowledged "))
		}
		require.EqualError(t, c.Wait(), "signal: killed")
		check(t, path, acknowledged)
	}
	require.Greater(t, len(acknowledged), kills*20)
}

// check opens the journal after a crash: everything acknowledged is there, every append is whole, and the indexes fit.
func check(t *testing.T, path string, acknowledged []string) {
	t.Helper()
	j := open(t, path)
	there := map[string]int{}
	for _, r := range journaltest.Whole(t, j) {
		there[r.AppendID]++
	}
	for _, id := range acknowledged {
		if there[id] == 0 {
			t.Fatalf("%s was acknowledged and is lost", id)
		}
	}
	listed := 0
	for w := range 16 {
		stream := fmt.Sprint("stream ", w)
		entries, err := j.Entries(t.Context(), "appends", stream, "", 1<<30)
		require.NoError(t, err)
		listed += len(entries)
		for _, e := range entries {
			if there[e.Ref] != recordsAtOnce(w) {
				t.Fatalf("append %s has %d records", e.Ref, there[e.Ref])
			}
		}
		if len(entries) > 0 {
			some := entries[rand.IntN(len(entries))]
			holder, err := j.Claimed(t.Context(), "append", some.Ref)
			require.NoError(t, err)
			require.Equal(t, some.Stream, holder)
		}
		s, ok, err := j.LoadSnapshot(t.Context(), stream)
		require.NoError(t, err)
		if ok {
			require.Equal(t, fmt.Sprintf("%s@%d", stream, s.Version), string(s.Data))
			head, _, err := j.Head(t.Context(), stream)
			require.NoError(t, err)
			require.LessOrEqual(t, s.Version, head)
		}
	}
	require.Len(t, there, listed)
	require.NoError(t, j.Close())
}

func TestDiskFailures(t *testing.T) {
	t.Parallel()
	for _, fault := range []string{"failed sync", "failed write", "full disk", "file size limit"} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			for range dose.Of(1, 50) {
				failDisk(t, fault)
			}
		})
	}
}

// failDisk has a process meet a fault of its disk in mid-write, and opens the journal that it leaves.
func failDisk(t *testing.T, fault string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "journal.db")
	c := start(t, fault, path)
	acknowledged := uint64(0)
	unknown := false
	for c.lines.Scan() {
		switch line := c.lines.Text(); line {
		case fmt.Sprintf("acknowledged stream@%d", acknowledged):
			acknowledged++
		case "unknown true":
			unknown = true
		case "unknown false":
		default:
			t.Errorf("the child said %q", line)
		}
	}
	require.NoError(t, c.Wait())
	require.GreaterOrEqual(t, acknowledged, uint64(100))

	j := open(t, path)
	records := uint64(len(journaltest.Whole(t, j)))
	if records != acknowledged {
		require.True(t, unknown, "only an append whose outcome is unknown may be there as well")
		require.Equal(t, acknowledged+1, records)
	}
	_, err := journal.Do(t.Context(), j, happened("stream", records, 1))
	require.NoError(t, err)
	require.NoError(t, j.Close())
}

func TestOneProcessHoldsAJournal(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "journal.db")
	c := start(t, "hold", path)
	require.True(t, c.lines.Scan())

	_, err := sqlite.Open(sqlite.Options{Path: path})
	require.ErrorContains(t, err, fmt.Sprintf("%s is in use by process %d", path, c.Process.Pid))
	link := filepath.Join(t.TempDir(), "other.db")
	require.NoError(t, os.Symlink(path, link))
	_, err = sqlite.Open(sqlite.Options{Path: link})
	require.ErrorContains(t, err, fmt.Sprintf("is in use by process %d", c.Process.Pid))

	require.NoError(t, c.Process.Kill())
	require.Error(t, c.Wait())
	j := open(t, path)
	_, err = sqlite.Open(sqlite.Options{Path: path})
	require.ErrorContains(t, err, fmt.Sprintf("is in use by process %d", os.Getpid()))
	require.NoError(t, j.Close())
	require.NoError(t, open(t, path).Close())
}
