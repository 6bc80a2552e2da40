package postgres_test

import (
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/journal/postgres"
	"github.com/latchkey/latchkey/journal/postgres/pgtest"
)

func TestUnreachable(t *testing.T) {
	t.Parallel()
	nobody, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, nobody.Close())
	_, err = postgres.Open(t.Context(), postgres.Options{URL: "postgres://postgres@" + nobody.Addr().String() + "/x"})
	require.ErrorContains(t, err, "connection refused")
	require.True(t, postgres.Unreachable(err))

	server := pgtest.Shared(t)
	_, err = postgres.Open(t.Context(), postgres.Options{URL: server.URL("there_is_none")})
	require.ErrorContains(t, err, "there_is_none")
	require.False(t, postgres.Unreachable(err), "it answers, and has no such database")
}
