package tests

import (
	"net/http"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// Bar: a server whose data folder is removed acknowledges nothing for longer than a second, and ends with an error. It would go on with
// files that are gone when it ends, as after a mount that was lost.
func TestServerWhoseFolderIsRemovedEnds(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.provision(t, 1)
	s.newKey(t, 1, 0)
	require.NoError(t, os.RemoveAll(s.dir))
	require.Equal(t, 1, s.exit(t))
	require.Contains(t, s.stderr(), "was removed under the running server")
	_, err := http.Get(s.ops + "/readyz")
	require.Error(t, err)
}
