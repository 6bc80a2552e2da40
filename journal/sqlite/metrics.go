package sqlite

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/journal/internal/batch"
)

type metrics struct {
	registerer       prometheus.Registerer
	registered       []prometheus.Collector
	commitSeconds    prometheus.Histogram
	batchAppends     prometheus.Histogram
	appends          *prometheus.CounterVec
	durable          prometheus.Counter // the appends by result, looked up once
	conflicts        prometheus.Counter
	claimed          prometheus.Counter
	expired          prometheus.Counter
	failures         prometheus.Counter
	snapshotsLeftOut prometheus.Counter
	walPages         prometheus.Gauge
}

func newMetrics(registerer prometheus.Registerer, depth func() int) (*metrics, error) {
	m := &metrics{
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
			Name: "latchkey_journal_appends_total", Help: "Appends by result: durable, conflict, claimed (by another stream), deadline.",
		}, []string{"result"}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "latchkey_journal_failures_total", Help: "1 after an I/O error, which the journal does not survive.",
		}),
		snapshotsLeftOut: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "latchkey_journal_snapshots_left_out_total", Help: "Snapshots that were not saved because too many waited.",
		}),
		walPages: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "latchkey_journal_wal_pages", Help: "Pages in the write-ahead log at the last checkpoint.",
		}),
	}
	m.durable, m.conflicts = m.appends.WithLabelValues("durable"), m.appends.WithLabelValues("conflict")
	m.claimed, m.expired = m.appends.WithLabelValues("claimed"), m.appends.WithLabelValues("deadline")
	queued := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "latchkey_journal_queued_appends", Help: "Appends that wait for the writer.",
	}, func() float64 { return float64(depth()) })

	for _, c := range []prometheus.Collector{
		m.commitSeconds, m.batchAppends, m.appends, m.failures, m.snapshotsLeftOut, m.walPages, queued,
	} {
		if err := registerer.Register(c); err != nil {
			m.unregister()
			return nil, err
		}
		m.registered = append(m.registered, c)
	}
	return m, nil
}

func (m *metrics) unregister() {
	for _, c := range m.registered {
		m.registerer.Unregister(c)
	}
}

// observe counts a batch of which so many appends were committed.
func (m *metrics) observe(items []batch.Item, committed int, took time.Duration) {
	if committed > 0 {
		m.commitSeconds.Observe(took.Seconds())
		m.batchAppends.Observe(float64(committed))
		m.durable.Add(float64(committed))
	}
	if committed == len(items) {
		return
	}
	for i := range items {
		switch err := items[i].Result.Err; {
		case err == nil:
		case errors.Is(err, journal.ErrConflict):
			m.conflicts.Inc()
		case errors.Is(err, journal.ErrDeadline):
			m.expired.Inc()
		default:
			m.claimed.Inc()
		}
	}
}
