package pgtest_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/journal/postgres/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Run(m)) }

func TestServerStartsAgain(t *testing.T) {
	t.Parallel()
	s, err := pgtest.Start(t.Context(), "")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Remove()) })
	require.NoError(t, s.CreateDatabase(t.Context(), "d"))
	require.NoError(t, s.Exec(t.Context(), "d", "CREATE TABLE t (n int)"))
	require.NoError(t, s.Stop())
	require.Error(t, s.Exec(t.Context(), "d", "SELECT 1"))
	require.NoError(t, s.Up(t.Context()))
	require.NoError(t, s.Kill())
	require.NoError(t, s.Up(t.Context()))
	require.NoError(t, s.Exec(t.Context(), "d", "SELECT n FROM t"))
}

func TestDatabasesAreApart(t *testing.T) {
	t.Parallel()
	a, b := pgtest.Database(t), pgtest.Database(t)
	s := pgtest.Shared(t)
	require.NoError(t, s.Exec(t.Context(), a, "CREATE TABLE t (n int)"))
	require.NoError(t, s.Exec(t.Context(), b, "CREATE TABLE t (n int)"))
}
