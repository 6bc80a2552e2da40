package cluster

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/latchkey/latchkey/internal/keyring"
)

// metrics are the counters of a node. No label grows with what the grains are.
type metrics struct {
	ok, busy, timeout, lost, failed, unavailable, refused prometheus.Counter

	retries, overflows, outboxFull        prometheus.Counter
	dropped, panics                       prometheus.Counter
	activations, terminations, topologies prometheus.Counter
	leaseLost, watchBroken, unreachable   prometheus.Counter
	evictions                             prometheus.Histogram
	collectors                            []prometheus.Collector
	registerer                            prometheus.Registerer
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{registerer: r}
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: "latchkey_cluster_" + name, Help: help})
		m.collectors = append(m.collectors, c)
		return c
	}
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "latchkey_cluster_requests_total", Help: "Requests to grains, by how they ended.",
	}, []string{"outcome"})
	m.collectors = append(m.collectors, requests)
	m.ok = requests.WithLabelValues("ok")
	m.busy = requests.WithLabelValues("busy")
	m.timeout = requests.WithLabelValues("timeout")
	m.lost = requests.WithLabelValues("lost")
	m.failed = requests.WithLabelValues("failed")
	m.unavailable = requests.WithLabelValues("unavailable")
	m.refused = requests.WithLabelValues("refused")
	m.retries = counter("request_retries_total", "Requests that were not executed and sent again.")
	m.overflows = counter("mailbox_overflows_total", "Messages that found the mailbox of their grain full.")
	m.outboxFull = counter("outbox_overflows_total", "Messages to another node that found too many waiting for its connection.")
	m.dropped = counter("dropped_messages_total", "Messages without a sender that could not be delivered.")
	m.panics = counter("grain_panics_total", "Panics of grains.")
	m.activations = counter("activations_total", "Grains started on this node.")
	m.terminations = counter("terminations_total", "Grains stopped on this node.")
	m.topologies = counter("topology_changes_total", "Changes of the membership that this node took over.")
	m.leaseLost = counter("lease_lost_total", "Leases of this node that etcd took away.")
	m.watchBroken = counter("watch_broken_total", "Watches of the membership that had to be started again.")
	m.unreachable = counter("etcd_unreachable_total", "Keep-alives of the lease that did not reach etcd.")
	m.evictions = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:    "latchkey_cluster_eviction_seconds",
		Help:    "From a change of the members that moved grains away to the end of the last of them. They execute nothing meanwhile.",
		Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
	})
	m.collectors = append(m.collectors, m.evictions)
	return m
}

// observe adds what is read when it is asked for, and registers everything.
func (m *metrics) observe(n *Node) error {
	gauge := func(name, help string, labels prometheus.Labels, f func() float64) {
		m.collectors = append(m.collectors, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "latchkey_cluster_" + name, Help: help, ConstLabels: labels,
		}, f))
	}
	for kind, a := range n.lookup.kinds {
		gauge("grains", "Grains that run on this node, by kind.", prometheus.Labels{"kind": kind},
			func() float64 { return float64(a.count()) })
	}
	gauge("members", "Members that this node knows, itself included.", nil,
		func() float64 { return float64(len(n.lookup.view.Load().members)) })
	if n.outboxes != nil {
		gauge("outbox_waiting", "Messages that wait for the connections to other nodes.", nil,
			func() float64 { return float64(n.outboxes.waiting()) })
		gauge("peers_unreachable", "Members to which this node has no connection after ten seconds of trying.", nil,
			func() float64 { return float64(n.connections.unreachable(time.Now())) })
	}
	for shown, keys := range map[string]*keyring.Keyring{"nodes": n.nodeKeys, "etcd": n.etcdKeys} {
		if keys != nil && keys.Current().Cert != nil {
			gauge("certificate_expiry_timestamp_seconds", "When the certificate of this node ends, by whom it is shown to.",
				prometheus.Labels{"shown_to": shown}, func() float64 { return float64(keys.Current().Expires().Unix()) })
		}
	}
	if !n.options.alone() { // an etcd of its own is asked so rarely that its silence says nothing
		gauge("etcd_silence_seconds", "Time since etcd last answered this node.", nil,
			func() float64 { return n.membership.silence().Seconds() })
	}
	for i, c := range m.collectors {
		if err := m.registerer.Register(c); err != nil {
			m.collectors = m.collectors[:i]
			m.unregister()
			return err
		}
	}
	return nil
}

// unregister makes room for the node that comes after this one in the same process.
func (m *metrics) unregister() {
	for _, c := range m.collectors {
		m.registerer.Unregister(c)
	}
}

func (m *metrics) count(err error) {
	switch {
	case err == nil:
		m.ok.Inc()
	case errors.Is(err, ErrBusy):
		m.busy.Inc()
	case errors.Is(err, ErrTimeout):
		m.timeout.Inc()
	case errors.Is(err, ErrLost):
		m.lost.Inc()
	case errors.Is(err, ErrFailed):
		m.failed.Inc()
	case errors.Is(err, ErrUnavailable):
		m.unavailable.Inc()
	default:
		m.refused.Inc()
	}
}
