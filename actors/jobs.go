package actors

import (
	"context"
	"log/slog"
	"time"

	"github.com/latchkey/latchkey/lock"
)

// A job of a lock, such as BulkAddKeys, is the business of its grain, and a grain that nobody calls is not in memory after a
// crash. The journal's index has the locks whose jobs have not ended; every node looks there when it starts and now and
// then, and wakes them wherever they belong. A Tick that comes once too often does nothing.

const (
	runningJobs = "job" // index: key is jobsKey, refs are the IDs of jobs that have not ended
	jobsKey     = "running"
	jobsEvery   = 20 * time.Second
	jobsPage    = 256
)

// wakeJobs runs until the shell closes.
func (s *shell) wakeJobs() {
	select {
	case <-s.joined:
	case <-s.ctx.Done():
		return
	}
	ticker := time.NewTicker(jobsEvery)
	defer ticker.Stop()
	for {
		if err := s.tellJobs(); err != nil && s.ctx.Err() == nil {
			s.Logger.Warn("the jobs of locks could not be looked up", slog.Any("error", err))
		}
		select {
		case <-ticker.C:
		case <-s.ctx.Done():
			return
		}
	}
}

func (s *shell) tellJobs() error {
	ctx, cancel := context.WithTimeout(s.ctx, loadTimeout)
	defer cancel()
	for after := ""; ; {
		entries, err := s.Journal.Entries(ctx, runningJobs, jobsKey, after, jobsPage)
		if err != nil {
			return err
		}
		for _, e := range entries {
			id, err := lockOf(e.Stream)
			if err != nil {
				s.Logger.Warn("a job belongs to no lock", slog.String("stream", e.Stream))
				continue
			}
			s.mail.tell(id, new(lock.Tick))
		}
		if len(entries) < jobsPage {
			return nil
		}
		after = entries[len(entries)-1].Ref
	}
}
