package memory_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/journal/journaltest"
	"github.com/latchkey/latchkey/journal/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestJournal(t *testing.T) {
	t.Parallel()
	journaltest.Run(t, func(*testing.T) (journal.Journal, func() journal.Journal) {
		j := memory.New()
		return j, func() journal.Journal {
			j = j.Reopen()
			return j
		}
	})
}

func TestSharedJournal(t *testing.T) {
	t.Parallel()
	journaltest.Run(t, func(*testing.T) (journal.Journal, func() journal.Journal) {
		j := memory.NewShared()
		return j, func() journal.Journal {
			j = j.Reopen()
			return j
		}
	})
}
