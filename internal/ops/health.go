package ops

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"
)

// health tells on /metrics what /readyz tells, so that one look at the metrics shows a server that should get no traffic.
type health struct{ server *Server }

var (
	readyDesc = prometheus.NewDesc("latchkey_ops_ready", "1 while the server should get traffic, as /readyz says.", nil, nil)
	upDesc    = prometheus.NewDesc("latchkey_ops_dependency_up", "1 while the dependency works.", []string{"dependency"}, nil)
)

// Describe is the collector's.
func (h health) Describe(out chan<- *prometheus.Desc) {
	out <- readyDesc
	out <- upDesc
}

// Collect asks the dependencies as /readyz does, at each scrape.
func (h health) Collect(out chan<- prometheus.Metric) {
	found := h.server.probe(context.Background())
	out <- prometheus.MustNewConstMetric(readyDesc, prometheus.GaugeValue, oneIf(found.ready()))
	for name, d := range found.Dependencies {
		out <- prometheus.MustNewConstMetric(upDesc, prometheus.GaugeValue, oneIf(d.Status == stateUp), name)
	}
}

func oneIf(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
