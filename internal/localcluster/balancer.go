package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"time"
)

// balance forwards each call to any server that takes connections, as a load balancer in front of a cluster does. A call that
// was sent is not sent again.
func balance(ctx context.Context, addr string, nodes []string) error {
	targets := make([]*url.URL, len(nodes))
	for i, n := range nodes {
		u, err := url.Parse(n)
		if err != nil {
			return err
		}
		targets[i] = u
	}
	proxy := &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.Out.Host = r.In.Host; r.SetXForwarded() },
		Transport: &anyOf{targets: targets, next: http.DefaultTransport},
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: proxy, ReadHeaderTimeout: 10 * time.Second}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// anyOf is a transport to several servers, of which some may be dead.
type anyOf struct {
	targets []*url.URL
	next    http.RoundTripper
}

func (a *anyOf) RoundTrip(r *http.Request) (response *http.Response, err error) {
	for _, i := range rand.Perm(len(a.targets)) {
		r.URL.Scheme, r.URL.Host = a.targets[i].Scheme, a.targets[i].Host
		response, err = a.next.RoundTrip(r)
		if failed := (*net.OpError)(nil); !errors.As(err, &failed) || failed.Op != "dial" {
			return response, err
		}
	}
	return response, err
}
