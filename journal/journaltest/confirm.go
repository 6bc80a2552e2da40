package journaltest

import (
	"errors"
	"fmt"
	"sync"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/journal"
)

// confirmed asks whether a stream is at a version.
func (s *suite) confirmed(stream string, version uint64) error {
	answer := make(chan error, 1)
	s.Confirm(stream, version, func(err error) { answer <- err })
	select {
	case err := <-answer:
		return err
	case <-s.ctx().Done():
		return s.ctx().Err()
	}
}

// confirm lets many ask at the same time as they append, so that the answers for one could be too old for another.
func (s *suite) confirm() {
	require.NoError(s, s.confirmed("nothing", 0), "a stream that does not exist is at 0")
	require.ErrorIs(s, s.confirmed("nothing", 1), journal.ErrConflict)
	const streams, appends = 8, 40
	var all sync.WaitGroup
	problems := make(chan error, streams)
	for i := range streams {
		all.Go(func() { problems <- s.confirmWhileAppending(fmt.Sprintf("s%d", i), appends) })
	}
	all.Wait()
	for range streams {
		require.NoError(s, <-problems)
	}
	require.NoError(s, s.Close())
	require.ErrorIs(s, s.confirmed("s0", appends), journal.ErrClosed)
}

func (s *suite) confirmWhileAppending(stream string, appends uint64) error {
	for version := range appends {
		if _, err := journal.Do(s.ctx(), s.Journal, event(stream, version, 1)); err != nil {
			return err
		}
		if err := s.confirmed(stream, version+1); err != nil {
			return err
		}
		if err := s.confirmed(stream, version); !errors.Is(err, journal.ErrConflict) {
			return fmt.Errorf("%s was left at %d, and found there: %w", stream, version, err)
		}
	}
	return nil
}
