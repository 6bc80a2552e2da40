package postgres

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/latchkey/latchkey/journal/internal/batch"
)

type metrics struct {
	*batch.Metrics
	reconnects prometheus.Counter
	retries    prometheus.Counter
	resolved   *prometheus.CounterVec
	splits     prometheus.Counter
	confirms   prometheus.Histogram
}

func newMetrics(registerer prometheus.Registerer, q *batch.Queue) (m *metrics, err error) {
	m = &metrics{
		reconnects: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "latchkey_journal_reconnects_total", Help: "Connections that the writer has made, its first one too.",
		}),
		retries: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "latchkey_journal_retries_total", Help: "Statements of the writer that failed and were tried again.",
		}),
		resolved: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "latchkey_journal_unknown_commits_total",
			Help: "Appends whose answer was lost, by what became of them: found (it had happened), stored (it had not, and was done again), refused, unknown.",
		}, []string{"outcome"}),
		splits: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "latchkey_journal_split_batches_total", Help: "Batches that were split because PostgreSQL refused what is in one of them.",
		}),
	}
	m.confirms = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "latchkey_journal_confirm_seconds", Help: "How long it takes to look whether the streams of a batch of answers have moved.",
		Buckets: prometheus.ExponentialBuckets(0.0001, 2, 15),
	})
	m.Metrics, err = batch.NewMetrics(registerer, q, m.reconnects, m.retries, m.resolved, m.splits, m.confirms)
	return m, err
}
