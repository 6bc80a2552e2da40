package batch

import (
	"slices"
	"sync"

	"github.com/latchkey/latchkey/journal"
)

const (
	// maxPending snapshots, or maxPendingBytes of them, wait to be saved. One more is left out.
	maxPending      = 4096
	maxPendingBytes = 32 << 20
	// maxSaved snapshots at most are saved together, or as many as it takes to reach maxSavedBytes.
	maxSaved      = 16
	maxSavedBytes = 64 << 10
)

// Snapshots wait here until the engine has time for them. Any goroutine puts, one takes.
type Snapshots struct {
	mu      sync.Mutex
	pending map[string]journal.Snapshot
	bytes   int
}

// NewSnapshots returns none.
func NewSnapshots() *Snapshots { return &Snapshots{pending: make(map[string]journal.Snapshot)} }

// Put keeps a snapshot, instead of an older one of its stream. It returns false when there is no room.
func (s *Snapshots) Put(snapshot journal.Snapshot) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	old, waits := s.pending[snapshot.Stream]
	if waits && old.Version >= snapshot.Version {
		return true
	}
	grown := s.bytes + len(snapshot.Data) - len(old.Data)
	if grown > maxPendingBytes || !waits && len(s.pending) >= maxPending {
		return false
	}
	snapshot.Data = slices.Clone(snapshot.Data)
	s.pending[snapshot.Stream], s.bytes = snapshot, grown
	return true
}

// Take returns some of the snapshots, and whether there are more.
func (s *Snapshots) Take() (some []journal.Snapshot, more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	size := 0
	for stream, snapshot := range s.pending {
		if len(some) == maxSaved || size >= maxSavedBytes {
			break
		}
		size += len(snapshot.Data)
		some = append(some, snapshot)
		delete(s.pending, stream)
	}
	s.bytes -= size
	return some, len(s.pending) > 0
}
