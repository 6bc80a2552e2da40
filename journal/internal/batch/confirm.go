package batch

import (
	"context"
	"fmt"

	"github.com/latchkey/latchkey/journal"
)

// Confirm is journal.Journal's Confirm for an engine whose Head is never behind, and costs little.
func Confirm(j journal.Journal, stream string, version uint64, done func(error)) {
	go func() {
		at, _, err := j.Head(context.Background(), stream)
		if err == nil {
			err = Compare(stream, at, version)
		}
		done(err)
	}()
}

// Compare gives journal.ErrConflict unless a stream is at the version that was expected.
func Compare(stream string, at, expected uint64) error {
	if at == expected {
		return nil
	}
	return fmt.Errorf("%w: %s is at %d, not at %d", journal.ErrConflict, stream, at, expected)
}
