package tests

import (
	"net"
	"testing"

	"github.com/stretchr/testify/require"
)

// Two servers were given one address, or one folder, as when a file of settings is copied: the second says so and exits, and the first
// does not notice. When the first is killed and started again, it takes its place at once.
func TestAddressAndFolderAreOneServers(t *testing.T) {
	t.Parallel()
	c := newClusterOf(t, 2)
	first, second := c.nodes[0], c.nodes[1]
	first.start(t)
	args := second.args
	second.args = append(args, "--cluster-advertise-addr", first.peers)
	second.begin(t)
	require.Equal(t, 1, second.exit(t))
	require.Contains(t, second.stderr(), "--cluster-addr, --cluster-advertise-addr: ")
	require.Contains(t, second.stderr(), "has registered at "+first.peers)

	second.args = append(args, "--data-dir", first.dir)
	second.begin(t)
	require.Equal(t, 1, second.exit(t))
	require.Contains(t, second.stderr(), "--data-dir: another server has this folder")

	second.args = args
	second.start(t)
	c.awaitMembers(t, 2)
	started, found := first.metric(t.Context(), "latchkey_app_started_over_total")
	require.True(t, found)
	require.Zero(t, started)
	first.kill()
	first.start(t)
	require.Len(t, c.membersInEtcd(t), 2, "its former life would be there until its lease has ended")
}

// What is wrong with the address for the other servers is said with the flag that has it.
func TestAddressesForMembersAreRefusedByTheirFlag(t *testing.T) {
	t.Parallel()
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, busy.Close()) })
	for says, args := range map[string][]string{
		"address already in use":              {"--etcd-endpoints", "http://127.0.0.1:1", "--cluster-addr", busy.Addr().String()},
		`listens on "0.0.0.0:0" needs one to`: {"--cluster-addr", "0.0.0.0:0"},
	} {
		p := launch(t, append([]string{"serve", "--data-dir", t.TempDir(), "--http-addr", "127.0.0.1:0", "--ops-addr", "127.0.0.1:0"}, args...)...)
		require.Equal(t, 1, p.exit(t))
		require.Contains(t, p.stderr(), "--cluster-addr, --cluster-advertise-addr: ")
		require.Contains(t, p.stderr(), says)
	}
}
