// Package lateness measures how long a process has to wait for a processor, so that a test of something that has to be prompt can tell a
// slow product from a machine that has more to do than it can.
package lateness

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Of is how long the threads of a process have waited, in all, while they could have run and other work had the processors: since
// they began, as Linux counts it.
func Of(pid int) (total time.Duration, err error) {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil {
		return 0, err
	}
	if len(threads) == 0 {
		return 0, fmt.Errorf("lateness: process %d: %w", pid, fs.ErrNotExist)
	}
	for _, name := range threads {
		stat, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue // a thread that has just ended
		}
		if err != nil {
			return 0, err
		}
		var ran, waited, turns int64
		if _, err := fmt.Sscan(string(stat), &ran, &waited, &turns); err != nil {
			return 0, fmt.Errorf("lateness: %s: %w", name, err)
		}
		total += time.Duration(waited)
	}
	return total, nil
}

// sampleEvery is how exactly a Watch knows when a process waited.
const sampleEvery = 20 * time.Millisecond

// Watch notes how long a process waits.
type Watch struct {
	pid     int
	stop    chan struct{}
	done    chan struct{}
	samples []sample // after done
	err     error    // after done
}

type sample struct {
	at     time.Time
	waited time.Duration
}

// Start begins to look at a process. Stop has to be called.
func Start(pid int) *Watch {
	w := &Watch{pid: pid, stop: make(chan struct{}), done: make(chan struct{})}
	go w.look()
	return w
}

func (w *Watch) look() {
	defer close(w.done)
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	for over := false; ; {
		at := time.Now()
		waited, err := Of(w.pid)
		if err != nil {
			w.err = err
			return
		}
		w.samples = append(w.samples, sample{at, waited})
		if over {
			return
		}
		select {
		case <-tick.C:
		case <-w.stop:
			over = true
		}
	}
}

// Stop ends the look.
func (w *Watch) Stop() error {
	close(w.stop)
	<-w.done
	return w.err
}

// Within is the most that the process has waited within any span of this length: what took that long has lost so much at most, for
// while it stood still one thread at least wanted a processor and had none.
func (w *Watch) Within(span time.Duration) (most time.Duration) {
	for i, from := range w.samples {
		for _, to := range w.samples[i+1:] {
			most = max(most, to.waited-from.waited)
			if i+1 < len(w.samples) && to.at.Sub(w.samples[i+1].at) >= span {
				break // a span that begins after from and before the next sample ends before this one
			}
		}
	}
	return most
}
