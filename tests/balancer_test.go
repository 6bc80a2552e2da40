package tests

import (
	"errors"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
)

// balancer is an http.RoundTripper that sends each call to some node that takes connections, as what stands in front of a
// cluster does. A call that may have been sent is never sent again: whoever made it decides.
type balancer struct {
	hosts atomic.Pointer[[]string]
	next  http.RoundTripper
}

// RoundTrip implements http.RoundTripper. A call whose URL names no host of balancedHost goes where it says.
func (b *balancer) RoundTrip(r *http.Request) (response *http.Response, err error) {
	if r.URL.Host != balancedHost {
		return b.next.RoundTrip(r)
	}
	hosts := *b.hosts.Load()
	for _, i := range rand.Perm(len(hosts)) {
		attempt := r.Clone(r.Context())
		attempt.URL.Host, attempt.Host = hosts[i], ""
		if r.GetBody != nil {
			if attempt.Body, err = r.GetBody(); err != nil {
				return nil, err
			}
		}
		response, err = b.next.RoundTrip(attempt)
		if failed := (*net.OpError)(nil); !errors.As(err, &failed) || failed.Op != "dial" {
			return response, err
		}
	}
	return response, err
}

// balancedHost stands for whatever node.
const balancedHost = "cluster.invalid"

// use has the balancer send calls to these nodes from now on.
func (b *balancer) use(nodes []*node) {
	var hosts []string
	for _, n := range nodes {
		hosts = append(hosts, strings.TrimPrefix(n.url, "http://"))
	}
	b.hosts.Store(&hosts)
}
