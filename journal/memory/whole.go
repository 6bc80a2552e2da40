package memory

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/latchkey/latchkey/journal"
)

// Streams implements journal.Journal.
func (j *Journal) Streams(ctx context.Context, after string, limit int) ([]journal.Stream, error) {
	if err := j.usable(ctx); err != nil {
		return nil, err
	}
	j.store.mu.RLock()
	defer j.store.mu.RUnlock()
	var all []journal.Stream
	for name, versions := range j.store.streams {
		last := j.store.log[versions[len(versions)-1]]
		all = append(all, journal.Stream{Name: name, Version: last.Version, AppendID: last.AppendID})
	}
	return sortedPage(all, journal.Stream{Name: after}, limit, func(a, b journal.Stream) int { return strings.Compare(a.Name, b.Name) }), nil
}

// Index implements journal.Journal.
func (j *Journal) Index(ctx context.Context, after journal.IndexRow, limit int) ([]journal.IndexRow, error) {
	if err := j.usable(ctx); err != nil {
		return nil, err
	}
	j.store.mu.RLock()
	defer j.store.mu.RUnlock()
	var all []journal.IndexRow
	for at, stream := range j.store.claims {
		all = append(all, journal.IndexRow{Kind: at.kind, Key: at.key, Stream: stream})
	}
	for at, refs := range j.store.entries {
		for ref, stream := range refs {
			all = append(all, journal.IndexRow{Kind: at.kind, Key: at.key, Ref: ref, Stream: stream})
		}
	}
	return sortedPage(all, after, limit, func(a, b journal.IndexRow) int {
		return cmp.Or(strings.Compare(a.Kind, b.Kind), strings.Compare(a.Key, b.Key), strings.Compare(a.Ref, b.Ref))
	}), nil
}

// Snapshots implements journal.Journal.
func (j *Journal) Snapshots(ctx context.Context, after string, limit int) ([]journal.Snapshot, error) {
	if err := j.usable(ctx); err != nil {
		return nil, err
	}
	j.store.mu.RLock()
	defer j.store.mu.RUnlock()
	var all []journal.Snapshot
	for _, s := range j.store.snapshots {
		s.Data = slices.Clone(s.Data)
		all = append(all, s)
	}
	return sortedPage(all, journal.Snapshot{Stream: after}, limit, func(a, b journal.Snapshot) int { return strings.Compare(a.Stream, b.Stream) }), nil
}

// sortedPage returns up to limit of all that come after `after`.
func sortedPage[T any](all []T, after T, limit int, order func(a, b T) int) []T {
	all = slices.DeleteFunc(all, func(x T) bool { return order(x, after) <= 0 })
	slices.SortFunc(all, order)
	return all[:max(0, min(limit, len(all)))]
}
