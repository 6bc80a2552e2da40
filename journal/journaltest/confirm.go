package journaltest

import (
	"errors"
	"fmt"
	"sync"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/journal"
)

// confirmed asks whether a stream is at a version; own says that the journal left that to whoever asks.
func (s *suite) confirmed(stream string, version uint64) (own bool, err error) {
	answer := make(chan error, 1)
	if own = s.Confirm(stream, version, func(err error) { answer <- err }); own {
		return true, nil
	}
	select {
	case err = <-answer:
		return false, err
	case <-s.ctx().Done():
		return false, s.ctx().Err()
	}
}

// confirm lets many ask at the same time as they append, so that the answers for one could be too old for another.
func (s *suite) confirm() {
	own, err := s.confirmed("nothing", 0)
	require.NoError(s, err, "a stream that does not exist is at 0")
	const streams, appends = 8, 40
	var all sync.WaitGroup
	problems := make(chan error, streams)
	for i := range streams {
		all.Go(func() { problems <- s.confirmWhileAppending(own, fmt.Sprintf("s%d", i), appends) })
	}
	all.Wait()
	for range streams {
		require.NoError(s, <-problems)
	}
	require.NoError(s, s.Close())
	if stillOwn, err := s.confirmed("s0", appends); !stillOwn {
		require.ErrorIs(s, err, journal.ErrClosed)
	}
}

func (s *suite) confirmWhileAppending(own bool, stream string, appends uint64) error {
	for version := range appends {
		if _, err := journal.Do(s.ctx(), s.Journal, event(stream, version, 1)); err != nil {
			return err
		}
		isOwn, err := s.confirmed(stream, version+1)
		if err != nil || isOwn != own {
			return fmt.Errorf("%s at %d: own %v, %w", stream, version+1, isOwn, err)
		}
		if _, err := s.confirmed(stream, version); !own && !errors.Is(err, journal.ErrConflict) {
			return fmt.Errorf("%s was left at %d, and found there: %w", stream, version, err)
		}
	}
	return nil
}
