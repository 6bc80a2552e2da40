// Package memory is the journal engine for tests: the semantics of the others, and nothing on a disk. Reopen gives what
// a process that starts again would find.
package memory

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/latchkey/latchkey/internal/planted"
	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/journal/internal/batch"
)

// Journal is a journal.Journal in memory.
type Journal struct {
	queue  *batch.Queue
	store  *store
	shared bool
}

// store is what survives Close. The writer goroutine changes it, readers look at it, both under mu.
type store struct {
	mu        sync.RWMutex
	log       []journal.Record // by position
	streams   map[string][]int // indexes into log, by version
	claims    map[name]string
	entries   map[name]map[string]string // ref to stream
	snapshots map[string]journal.Snapshot
}

// name is a kind and a key.
type name struct{ kind, key string }

// New returns an empty journal.
func New() *Journal {
	return open(&store{
		streams:   make(map[string][]int),
		claims:    make(map[name]string),
		entries:   make(map[name]map[string]string),
		snapshots: make(map[string]journal.Snapshot),
	})
}

// NewShared returns an empty journal that does not take its callers for the only ones, as one that a cluster shares.
func NewShared() *Journal {
	j := New()
	j.shared = true
	return j
}

// Reopen returns a journal over the records of j, which must be closed.
func (j *Journal) Reopen() *Journal {
	j.queue.Wait()
	next := open(j.store)
	next.shared = j.shared
	return next
}

func open(s *store) *Journal {
	j := &Journal{queue: batch.New(), store: s}
	go j.write()
	return j
}

// Submit implements journal.Journal.
func (j *Journal) Submit(a journal.Append, done func(journal.Result)) {
	if planted.Has(planted.NoCompareAndSet) {
		a.Expected, _, _ = j.Head(context.Background(), a.Stream)
	}
	j.queue.Submit(a, done)
}

// Hurry implements journal.Journal.
func (j *Journal) Hurry() { j.queue.Hurry() }

// ID implements journal.Journal. Those that share a journal share its store.
func (j *Journal) ID() string { return fmt.Sprintf("memory:%p", j.store) }

// Shared implements journal.Journal.
func (j *Journal) Shared() bool { return j.shared }

// Confirm implements journal.Journal.
func (j *Journal) Confirm(stream string, version uint64, done func(error)) {
	batch.Confirm(j, stream, version, done)
}

// Close implements journal.Journal.
func (j *Journal) Close() error {
	if !j.queue.Close() {
		return journal.ErrClosed
	}
	j.queue.Wait()
	return nil
}

// Healthy implements journal.Journal.
func (j *Journal) Healthy(ctx context.Context) error { return j.usable(ctx) }

func (j *Journal) usable(ctx context.Context) error {
	if j.queue.Closed() {
		return journal.ErrClosed
	}
	return ctx.Err()
}

func (j *Journal) write() {
	for {
		items, ok := j.queue.Take(nil)
		if !ok {
			return
		}
		now := time.Now()
		j.store.mu.Lock()
		for i := range items {
			items[i].Result = j.store.append(&items[i].Append, now)
		}
		j.store.mu.Unlock()
		j.queue.Answer(items)
	}
}

func (s *store) append(a *journal.Append, now time.Time) journal.Result {
	if !a.Deadline.IsZero() && !now.Before(a.Deadline) {
		return journal.Result{Err: journal.ErrDeadline}
	}
	stream := s.streams[a.Stream]
	if uint64(len(stream)) != a.Expected {
		return journal.Result{Err: fmt.Errorf("%w: %s is at %d, not at %d", journal.ErrConflict, a.Stream, len(stream), a.Expected)}
	}
	for _, c := range a.Index {
		if holder := s.claims[name{c.Kind, c.Key}]; c.Op == journal.Claim && holder != "" && (c.New || holder != a.Stream) {
			return journal.Result{Err: &journal.ClaimError{Kind: c.Kind, Key: c.Key, Stream: holder}}
		}
	}
	for _, r := range a.Records {
		stream = append(stream, len(s.log))
		s.log = append(s.log, journal.Record{
			Stream: a.Stream, Version: uint64(len(stream)), Position: uint64(len(s.log)) + 1, AppendID: a.ID,
			Type: r.Type, Time: r.Time.UTC().Truncate(time.Millisecond), Data: slices.Clone(r.Data),
		})
	}
	s.streams[a.Stream] = stream
	for _, c := range a.Index {
		s.index(a.Stream, c)
	}
	return journal.Result{Version: uint64(len(stream)), Position: uint64(len(s.log))}
}

func (s *store) index(stream string, c journal.IndexChange) {
	at := name{c.Kind, c.Key}
	switch c.Op {
	case journal.Claim:
		s.claims[at] = stream
	case journal.Put:
		if s.entries[at] == nil {
			s.entries[at] = make(map[string]string)
		}
		s.entries[at][c.Ref] = stream
	case journal.Remove:
		if s.entries[at][c.Ref] == stream {
			delete(s.entries[at], c.Ref)
		}
	}
}

// Head implements journal.Journal.
func (j *Journal) Head(ctx context.Context, stream string) (uint64, string, error) {
	if err := j.usable(ctx); err != nil {
		return 0, "", err
	}
	j.store.mu.RLock()
	defer j.store.mu.RUnlock()
	versions := j.store.streams[stream]
	if len(versions) == 0 {
		return 0, "", nil
	}
	return uint64(len(versions)), j.store.log[versions[len(versions)-1]].AppendID, nil
}

// Read implements journal.Journal.
func (j *Journal) Read(ctx context.Context, stream string, after uint64, limit int) ([]journal.Record, error) {
	if err := j.usable(ctx); err != nil {
		return nil, err
	}
	j.store.mu.RLock()
	defer j.store.mu.RUnlock()
	var records []journal.Record
	size := 0
	for _, i := range page(j.store.streams[stream], after, limit) {
		records = append(records, copied(j.store.log[i]))
		if size += len(j.store.log[i].Data); size >= journal.PageBytes {
			break
		}
	}
	return records, nil
}

// ReadAll implements journal.Journal.
func (j *Journal) ReadAll(ctx context.Context, after uint64, limit int) ([]journal.Record, error) {
	if err := j.usable(ctx); err != nil {
		return nil, err
	}
	j.store.mu.RLock()
	defer j.store.mu.RUnlock()
	var records []journal.Record
	size := 0
	for _, r := range page(j.store.log, after, limit) {
		records = append(records, copied(r))
		if size += len(r.Data); size >= journal.PageBytes {
			break
		}
	}
	return records, nil
}

func page[T any](all []T, after uint64, limit int) []T {
	if after >= uint64(len(all)) || limit <= 0 {
		return nil
	}
	all = all[after:]
	return all[:min(limit, len(all))]
}

func copied(r journal.Record) journal.Record {
	r.Data = slices.Clone(r.Data)
	return r
}

// Claimed implements journal.Journal.
func (j *Journal) Claimed(ctx context.Context, kind, key string) (string, error) {
	if err := j.usable(ctx); err != nil {
		return "", err
	}
	j.store.mu.RLock()
	defer j.store.mu.RUnlock()
	return j.store.claims[name{kind, key}], nil
}

// Entries implements journal.Journal.
func (j *Journal) Entries(ctx context.Context, kind, key, after string, limit int) ([]journal.Entry, error) {
	if err := j.usable(ctx); err != nil {
		return nil, err
	}
	j.store.mu.RLock()
	defer j.store.mu.RUnlock()
	var entries []journal.Entry
	for ref, stream := range j.store.entries[name{kind, key}] {
		if ref > after {
			entries = append(entries, journal.Entry{Ref: ref, Stream: stream})
		}
	}
	slices.SortFunc(entries, func(a, b journal.Entry) int { return strings.Compare(a.Ref, b.Ref) })
	return entries[:max(0, min(limit, len(entries)))], nil
}

// SaveSnapshot implements journal.Journal.
func (j *Journal) SaveSnapshot(ctx context.Context, s journal.Snapshot) error {
	if err := j.usable(ctx); err != nil {
		return err
	}
	j.store.mu.Lock()
	defer j.store.mu.Unlock()
	if s.Version > j.store.snapshots[s.Stream].Version && s.Version <= uint64(len(j.store.streams[s.Stream])) {
		s.Data = slices.Clone(s.Data)
		j.store.snapshots[s.Stream] = s
	}
	return nil
}

// LoadSnapshot implements journal.Journal.
func (j *Journal) LoadSnapshot(ctx context.Context, stream string) (journal.Snapshot, bool, error) {
	if err := j.usable(ctx); err != nil {
		return journal.Snapshot{}, false, err
	}
	j.store.mu.RLock()
	defer j.store.mu.RUnlock()
	s, ok := j.store.snapshots[stream]
	s.Data = slices.Clone(s.Data)
	return s, ok, nil
}
