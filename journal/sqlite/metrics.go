package sqlite

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/latchkey/latchkey/journal/internal/batch"
)

type metrics struct {
	*batch.Metrics
	failures prometheus.Counter
	walPages prometheus.Gauge
}

func newMetrics(registerer prometheus.Registerer, q *batch.Queue) (m *metrics, err error) {
	m = &metrics{
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "latchkey_journal_failures_total", Help: "1 after an I/O error, which the journal does not survive.",
		}),
		walPages: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "latchkey_journal_wal_pages", Help: "Pages in the write-ahead log at the last checkpoint.",
		}),
	}
	m.Metrics, err = batch.NewMetrics(registerer, q, m.failures, m.walPages)
	return m, err
}
