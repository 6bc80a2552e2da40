package batch

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/latchkey/latchkey/journal"
)

// Metrics are those that every engine has, under the same names.
type Metrics struct {
	SnapshotsLeftOut prometheus.Counter

	registerer    prometheus.Registerer
	registered    []prometheus.Collector
	commitSeconds prometheus.Histogram
	batchAppends  prometheus.Histogram
	appends       *prometheus.CounterVec
	durable       prometheus.Counter // the appends by result, looked up once
	conflicts     prometheus.Counter
	claimed       prometheus.Counter
	expired       prometheus.Counter
	invalid       prometheus.Counter
	unknown       prometheus.Counter
	others        prometheus.Counter
}

// NewMetrics registers the metrics of a journal with this queue, and more of the engine's own.
func NewMetrics(registerer prometheus.Registerer, q *Queue, more ...prometheus.Collector) (*Metrics, error) {
	m := &Metrics{
		registerer: registerer,
		commitSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "latchkey_journal_commit_seconds", Help: "Time from the first statement of a batch until it was durable.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 2, 15),
		}),
		batchAppends: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "latchkey_journal_batch_appends", Help: "Appends that shared one commit.",
			Buckets: prometheus.ExponentialBuckets(1, 2, 10),
		}),
		appends: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "latchkey_journal_appends_total",
			Help: "Appends by result: durable, conflict, claimed (by another stream), deadline, invalid, unknown, failed.",
		}, []string{"result"}),
		SnapshotsLeftOut: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "latchkey_journal_snapshots_left_out_total", Help: "Snapshots that were not saved because too many waited, or the store was away.",
		}),
	}
	m.durable, m.conflicts = m.appends.WithLabelValues("durable"), m.appends.WithLabelValues("conflict")
	m.claimed, m.expired = m.appends.WithLabelValues("claimed"), m.appends.WithLabelValues("deadline")
	m.invalid, m.unknown = m.appends.WithLabelValues("invalid"), m.appends.WithLabelValues("unknown")
	m.others = m.appends.WithLabelValues("failed")
	queued := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "latchkey_journal_queued_appends", Help: "Appends that wait for the writer.",
	}, func() float64 { return float64(q.Depth()) })

	for _, c := range append([]prometheus.Collector{
		m.commitSeconds, m.batchAppends, m.appends, m.SnapshotsLeftOut, queued,
	}, more...) {
		if err := registerer.Register(c); err != nil {
			m.Unregister()
			return nil, err
		}
		m.registered = append(m.registered, c)
	}
	return m, nil
}

// Unregister lets another journal register its metrics.
func (m *Metrics) Unregister() {
	for _, c := range m.registered {
		m.registerer.Unregister(c)
	}
}

// Commit counts a commit of so many appends.
func (m *Metrics) Commit(appends int, took time.Duration) {
	m.commitSeconds.Observe(took.Seconds())
	m.batchAppends.Observe(float64(appends))
}

// Answers counts the results of a batch.
func (m *Metrics) Answers(items []Item) {
	durable := 0
	for i := range items {
		if items[i].Result.Err == nil {
			durable++
			continue
		}
		m.failure(items[i].Result.Err).Inc()
	}
	m.durable.Add(float64(durable))
}

func (m *Metrics) failure(err error) prometheus.Counter {
	var claim *journal.ClaimError
	switch {
	case errors.Is(err, journal.ErrConflict):
		return m.conflicts
	case errors.As(err, &claim):
		return m.claimed
	case errors.Is(err, journal.ErrDeadline):
		return m.expired
	case errors.Is(err, journal.ErrUnknown):
		return m.unknown
	case errors.Is(err, journal.ErrInvalid):
		return m.invalid
	default:
		return m.others
	}
}
