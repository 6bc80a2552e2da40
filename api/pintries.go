package api

import (
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// pinTries are the PINs that are being looked at. Each may turn out to be wrong, so that an address may not have more of them at a time
// than it may send wrong ones: those who sent many at once would all be let in before the first one was counted.
type pinTries struct {
	mu       sync.Mutex
	underWay map[bucketHash]int // guarded by mu
}

// tryPIN lets a PIN be looked at, and gives what is told how that has ended. Only the first call of it counts.
func (s *server) tryPIN(w http.ResponseWriter, r *http.Request) (end func(wrong bool), err error) {
	b, tries := s.limiter.wrongPINs, s.limiter.tries
	if b == nil {
		return func(bool) {}, nil
	}
	from, now := s.network(r), s.Now()
	tries.mu.Lock()
	defer tries.mu.Unlock()
	underWay := tries.underWay[from]
	if limiter := b.of(from); limiter.TokensAt(now) < float64(1+underWay) {
		wait := max(b.until(limiter, now), time.Second) // most of those under way end by then
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
		return nil, errTooManyPINs
	}
	tries.underWay[from] = underWay + 1
	ended := false
	return func(wrong bool) {
		if ended {
			return
		}
		ended = true
		tries.mu.Lock()
		defer tries.mu.Unlock()
		if tries.underWay[from]--; tries.underWay[from] == 0 {
			delete(tries.underWay, from)
		}
		if wrong {
			b.overdraw(from, s.Now())
		}
	}, nil
}
