package transport

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/latchkey/latchkey/transport/wire"
)

type metrics struct {
	sessions   prometheus.Gauge
	handshakes *prometheus.CounterVec
	received   *prometheus.CounterVec
	results    prometheus.Counter // of received, the most frequent
	sent       prometheus.Counter
	closes     *prometheus.CounterVec
	slow       prometheus.Counter
	unsent     *prometheus.CounterVec
	strays     prometheus.Counter
	excess     prometheus.Counter
	greeting   prometheus.Histogram
}

// The ways in which a command is known not to have left.
const (
	unsentExpired = "expired" // its deadline had passed when it could be written
	unsentEnded   = "ended"   // its session was over
	unsentFull    = "full"    // too many calls wait for the device's answer
)

func newMetrics(r prometheus.Registerer) *metrics {
	f := promauto.With(r)
	counter := func(name, help string) prometheus.Counter {
		return f.NewCounter(prometheus.CounterOpts{Name: "latchkey_transport_" + name, Help: help})
	}
	counters := func(name, help, label string) *prometheus.CounterVec {
		return f.NewCounterVec(prometheus.CounterOpts{Name: "latchkey_transport_" + name, Help: help}, []string{label})
	}
	received := counters("frames_received_total", "Frames of devices, by action or kind.", "frame")
	m := &metrics{
		sessions: f.NewGauge(prometheus.GaugeOpts{
			Name: "latchkey_transport_sessions", Help: "Devices that are connected and have been greeted.",
		}),
		handshakes: counters("handshakes_total", "Requests to connect, by what became of them.", "result"),
		received:   received,
		results:    received.WithLabelValues("result"),
		sent:       counter("frames_sent_total", "Frames that were written to devices."),
		closes:     counters("closes_total", "Sessions that ended, by close code or cause.", "cause"),
		slow:       counter("slow_consumers_total", "Devices that were cut off because they did not read."),
		unsent:     counters("unsent_total", "Calls that never left for the device, by cause.", "cause"),
		strays:     counter("stray_answers_total", "Answers to calls that were never made, or were answered before."),
		excess:     counter("events_refused_total", "Calls with events that were refused because their device reports too much."),
		greeting: f.NewHistogram(prometheus.HistogramOpts{
			Name: "latchkey_transport_greeting_seconds", Help: "From a device's Hello to its answer.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14),
		}),
	}
	// A counter that begins with its first event hides that one: Prometheus sees no growth.
	m.handshakes.WithLabelValues(accepted)
	for _, no := range refusals {
		m.handshakes.WithLabelValues(no.result)
	}
	for _, cause := range []string{unsentExpired, unsentEnded, unsentFull} {
		m.unsent.WithLabelValues(cause)
	}
	for _, cause := range []string{causePeer, causeGone, causeSlow, causeReset, causeStopped} {
		m.closes.WithLabelValues(cause)
	}
	for _, code := range []int{
		wire.CloseBadFrame, wire.CloseCredentials, wire.CloseHeartbeat, wire.CloseReplaced, wire.CloseRate, wire.CloseDraining,
	} {
		m.closes.WithLabelValues(strconv.Itoa(code))
	}
	return m
}
