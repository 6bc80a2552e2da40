package postgres_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/journal/journaltest"
	"github.com/latchkey/latchkey/journal/postgres"
	"github.com/latchkey/latchkey/journal/postgres/pgtest"
)

func TestMain(m *testing.M) {
	code := pgtest.Run(m)
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// open opens the journal in a database of the shared server.
func open(t testing.TB, database string) *postgres.Journal {
	t.Helper()
	j, err := postgres.Open(t.Context(), postgres.Options{URL: pgtest.Shared(t).URL(database)})
	require.NoError(t, err)
	t.Cleanup(func() { _ = j.Close() }) // a test may have closed it
	return j
}

func TestJournal(t *testing.T) {
	t.Parallel()
	journaltest.Run(t, func(t *testing.T) (journal.Journal, func() journal.Journal) {
		database := pgtest.Database(t)
		return open(t, database), func() journal.Journal { return open(t, database) }
	})
}
