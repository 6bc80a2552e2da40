package actors

import (
	"errors"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/lock"
)

// metrics are what the grains of a node tell. No label grows with locks, keys or tenants.
type metrics struct {
	opens        *prometheus.CounterVec
	opensBy      map[lock.Outcome]prometheus.Counter // of opens; nobody changes it
	keys         *prometheus.CounterVec
	acknowledged prometheus.Histogram
	failed       *prometheus.CounterVec
	reloads      prometheus.Counter
	loads        prometheus.Histogram
	passivations prometheus.Counter
	snapshots    prometheus.Counter
	withheld     prometheus.Counter
	panics       prometheus.Counter
	undelivered  prometheus.Counter
	repeated     prometheus.Counter
	lost         prometheus.Counter
	stashed      prometheus.Gauge
	staged       atomic.Int64 // this and waiting move with every open, and an integer moves in one step
	waiting      atomic.Int64
}

func newMetrics(r prometheus.Registerer, s *shell) (*metrics, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "latchkey", Subsystem: "actors", Name: name, Help: help})
	}
	level := func(name, help string, read func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "latchkey", Subsystem: "actors", Name: name, Help: help}, read)
	}
	m := &metrics{
		opens: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "latchkey", Subsystem: "actors", Name: "opens_total", Help: "Commands to open that ended, by outcome.",
		}, []string{"outcome"}),
		keys: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "latchkey", Subsystem: "actors", Name: "key_commands_total",
			Help: "Commands about permanent keys that ended, by outcome. An unknown one may end once more.",
		}, []string{"outcome"}),
		acknowledged: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "latchkey", Subsystem: "actors", Name: "decision_to_ack_seconds",
			Help:    "From the decision to send an open to the device's answer.",
			Buckets: []float64{.001, .002, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}),
		failed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "latchkey", Subsystem: "actors", Name: "append_failures_total",
			Help: "Appends that failed. A conflict means that another activation had written to the stream.",
		}, []string{"cause"}),
		reloads: counter("reloads_total", "States that were dropped and loaded again because an append failed."),
		loads: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "latchkey", Subsystem: "actors", Name: "load_seconds", Help: "Loading of a lock's state from the journal.",
			Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 5},
		}),
		passivations: counter("passivations_total", "Idle grains that left memory."),
		snapshots:    counter("snapshots_total", "Snapshots handed to the journal."),
		withheld:     counter("replies_delayed_total", "Revocations whose reply waited until no open of the key could move the motor."),
		panics:       counter("panics_total", "Grains that panicked and started anew."),
		undelivered:  counter("effects_undelivered_total", "Effects that never left for the session's node, since it is no member or cannot be reached."),
		repeated:     counter("effects_repeated_total", "Effects from other nodes that came twice or too late, and were left out."),
		lost:         counter("letters_lost_total", "What sessions said and their locks could not be told; it costs the session."),
		stashed: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: "latchkey", Subsystem: "actors", Name: "stashed_requests", Help: "Requests that wait for a state to be loaded.",
		}),
	}
	m.opensBy = make(map[lock.Outcome]prometheus.Counter)
	for _, o := range []lock.Outcome{lock.Opened, lock.Refused, lock.Expired, lock.Unknown} {
		m.opensBy[o] = m.opens.WithLabelValues(string(o))
	}
	for _, o := range []lock.Outcome{lock.Confirmed, lock.Refused, lock.Expired, lock.Unknown} {
		m.keys.WithLabelValues(string(o))
	}
	for _, cause := range []string{"conflict", "claim", "deadline", "unknown", "store"} {
		m.failed.WithLabelValues(cause)
	}
	for _, c := range []prometheus.Collector{
		m.opens, m.keys, m.acknowledged, m.failed, m.reloads, m.loads, m.passivations, m.snapshots, m.withheld, m.panics,
		m.undelivered, m.repeated, m.lost, m.stashed,
		level("activations", "Grains of locks in memory.", s.active),
		level("staged_commands", "Commands that were decided and wait for an append.", func() float64 { return float64(m.staged.Load()) }),
		level("waiters", "Callers that wait for a device.", func() float64 { return float64(m.waiting.Load()) }),
	} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (s *shell) active() float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return float64(len(s.grains))
}

// failures counts an append that failed, by its cause.
func (m *metrics) failures(err error) {
	var claim *journal.ClaimError
	cause := "store"
	switch {
	case errors.As(err, &claim):
		cause = "claim"
	case errors.Is(err, journal.ErrConflict):
		cause = "conflict"
	case errors.Is(err, journal.ErrDeadline):
		cause = "deadline"
	case errors.Is(err, journal.ErrUnknown):
		cause = "unknown"
	}
	m.failed.WithLabelValues(cause).Inc()
}
