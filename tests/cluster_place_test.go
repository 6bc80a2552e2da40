package tests

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/latchkey/latchkey/lock"
)

// member is how a node is listed in etcd.
type member struct {
	ID   string `json:"id"`
	Addr string `json:"addr"`
}

// membersInEtcd asks etcd who the members are.
func (c *cluster) membersInEtcd(t *testing.T) (all []member) {
	t.Helper()
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{c.etcd.addr}, DialTimeout: patience})
	require.NoError(t, err)
	defer client.Close()
	found, err := client.Get(t.Context(), "/latchkey/", clientv3.WithPrefix())
	require.NoError(t, err)
	for _, kv := range found.Kvs {
		var m member
		require.NoError(t, json.Unmarshal(kv.Value, &m))
		all = append(all, m)
	}
	return all
}

// homes tells on which node each lock's grain is, now that all nodes agree on who is a member: on the one whose ID and the
// lock's number have the highest score together.
func (c *cluster) homes(t *testing.T, ids []lock.ID) map[lock.ID]*node {
	t.Helper()
	members := c.membersInEtcd(t)
	all := make(map[lock.ID]*node)
	for _, id := range ids {
		var highest uint64
		var addr string
		for _, m := range members {
			if score := mixed(hashed(id.String()) ^ hashed(m.ID)); score >= highest {
				highest, addr = score, m.Addr
			}
		}
		for _, n := range c.nodes {
			if n.peers == addr {
				all[id] = n
			}
		}
		require.NotNil(t, all[id], "lock %s is on no node", id)
	}
	return all
}

// hashed is FNV-1a, mixed.
func hashed(s string) uint64 {
	h := uint64(0xcbf29ce484222325)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 0x100000001b3
	}
	return mixed(h)
}

// mixed is the finalizer of SplitMix64.
func mixed(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
