package postgres_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
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
	j, _ := openURL(t, pgtest.Shared(t).URL(database))
	return j
}

// openURL opens the journal at a URL, with metrics that can be looked at. Its log is the test's.
func openURL(t testing.TB, url string) (*postgres.Journal, *prometheus.Registry) {
	t.Helper()
	registry := prometheus.NewRegistry()
	j, err := postgres.Open(t.Context(), postgres.Options{
		URL: url, Logger: slog.New(slog.NewTextHandler(t.Output(), nil)), Registerer: registry,
	})
	require.NoError(t, err)
	t.Cleanup(func() { _ = j.Close() }) // a test may have closed it
	return j, registry
}

// Servers that share an etcd find out by the ID that one of them was given another database.
func TestEachDatabaseIsAJournal(t *testing.T) {
	t.Parallel()
	database := pgtest.Database(t)
	require.Equal(t, open(t, database).ID(), open(t, database).ID())
	require.NotEqual(t, open(t, database).ID(), open(t, pgtest.Database(t)).ID())
}

// Without sslmode= a PostgreSQL that does not offer TLS is spoken to without it, which an operator should know of.
func TestPlainTextIsWarnedOf(t *testing.T) {
	t.Parallel()
	server, database := pgtest.Shared(t), pgtest.Database(t)
	_, port, err := net.SplitHostPort(server.Addr())
	require.NoError(t, err)
	for host, warns := range map[string]bool{"127.0.0.1": false, "0.0.0.0": true} { // which leads here as well, and does not look like it
		var log bytes.Buffer
		j, err := postgres.Open(t.Context(), postgres.Options{
			URL: server.TCP(net.JoinHostPort(host, port), database), Logger: slog.New(slog.NewTextHandler(&log, nil)),
		})
		require.NoError(t, err)
		require.NoError(t, j.Close())
		require.Equal(t, warns, strings.Contains(log.String(), "level=WARN"), log.String())
		require.Equal(t, warns, strings.Contains(log.String(), "sslmode=verify-full"), log.String())
		require.NotContains(t, log.String(), pgtest.Password)
	}
}

func TestJournal(t *testing.T) {
	t.Parallel()
	journaltest.Run(t, func(t *testing.T) (journal.Journal, func() journal.Journal) {
		database := pgtest.Database(t)
		return open(t, database), func() journal.Journal { return open(t, database) }
	})
}
