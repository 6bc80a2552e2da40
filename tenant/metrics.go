package tenant

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/latchkey/latchkey/lock"
)

// metrics count what API keys were worth: many that were revoked or are unknown are somebody who tries, or a platform that
// missed a rotation.
type metrics struct{ authentications *prometheus.CounterVec }

// The results that are no reasons of a refusal.
const (
	good   = "good"
	failed = "failed"
)

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	m := &metrics{prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "latchkey", Subsystem: "tenant", Name: "authentications_total",
		Help: "API keys that were shown, by what they were worth: good, mistyped, invalid, revoked, expired, or failed when the journal could not be asked.",
	}, []string{"result"})}
	for _, result := range []string{good, "expired", failed, "invalid", "mistyped", "revoked"} {
		m.authentications.WithLabelValues(result) // or Prometheus would not see the first one as growth
	}
	if r == nil {
		return m, nil
	}
	return m, r.Register(m.authentications)
}

func (m *metrics) observe(err error) {
	result := good
	var rejection *lock.Error
	switch {
	case err == nil:
	case !errors.As(err, &rejection) || rejection.Kind != lock.Unauthentic:
		result = failed
	default:
		result = rejection.Reason[len("api-key-"):]
	}
	m.authentications.WithLabelValues(result).Inc()
}
