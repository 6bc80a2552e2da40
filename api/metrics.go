package api

import (
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	refusals *prometheus.CounterVec

	mu      sync.RWMutex
	known   map[labels]series             // guarded by mu; the vectors would look up every label of every request
	reasons map[string]prometheus.Counter // guarded by mu
}

// maxReasons keeps the label of refusals bounded, whatever a newer member calls its reasons. There are about a hundred.
const maxReasons = 256

type labels struct {
	operation
	class int // of status
}

type series struct {
	requests prometheus.Counter
	seconds  prometheus.Observer
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		known:   make(map[labels]series),
		reasons: make(map[string]prometheus.Counter),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "latchkey_api_requests_total", Help: "Requests by route template, method and class of status.",
		}, []string{"route", "method", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "latchkey_api_request_seconds", Help: "Seconds from the headers of a request to the end of its answer.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"route", "method"}),
		refusals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "latchkey_api_refusals_total", Help: "Requests that were answered with an error, by its reason.",
		}, []string{"reason"}),
	}
	for _, c := range []prometheus.Collector{m.requests, m.seconds, m.refusals} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// observe counts a request that was answered.
func (m *metrics) observe(r *http.Request, status int, took time.Duration) {
	l := labels{operation{methodOf(r), routeOf(r)}, max(status, http.StatusOK) / 100} // 0: the answer is left to net/http
	m.mu.RLock()
	of, ok := m.known[l]
	m.mu.RUnlock()
	if !ok {
		of = series{
			m.requests.WithLabelValues(l.route, l.method, strconv.Itoa(l.class)+"xx"),
			m.seconds.WithLabelValues(l.route, l.method),
		}
		m.mu.Lock()
		m.known[l] = of
		m.mu.Unlock()
	}
	of.requests.Inc()
	of.seconds.Observe(took.Seconds())
}

// refused counts a request that was answered with an error. Reasons are words of our own, never what a caller sent.
func (m *metrics) refused(reason string) {
	m.mu.RLock()
	of, ok := m.reasons[reason]
	m.mu.RUnlock()
	if !ok {
		m.mu.Lock()
		if len(m.reasons) >= maxReasons {
			reason = "other"
		}
		of = m.refusals.WithLabelValues(reason)
		m.reasons[reason] = of
		m.mu.Unlock()
	}
	of.Inc()
}

// methodOf keeps the label to the methods that HTTP knows: a caller may send any word.
func methodOf(r *http.Request) string {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return r.Method
	}
	return "other"
}
