// Package verify checks a journal from end to end. It trusts nothing that can be computed anew: versions and positions
// must be without gaps, every stream is replayed, and what the engine keeps beside the records (the heads, the index,
// the snapshots) must be what the records say.
//
// A journal may be written to meanwhile. The rows beside the records are read before the records, and the last position
// before them: what was in a record up to there must be in the rows, and what is in the rows must be in a record.
package verify

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/latchkey/latchkey/collective"
	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/named"
)

// pageSize is how many rows are asked for at a time.
const pageSize = 1000

// The streams that Latchkey has, and their index.
const (
	lockPrefix = "lock/"
	orgPrefix  = "org/"
	userPrefix = "user/"
)

// Finding is something that is wrong.
type Finding struct {
	Where string // a stream, a position, an index row
	What  string
}

func (f Finding) String() string { return f.Where + ": " + f.What }

// Summary is what was looked at.
type Summary struct {
	Records   uint64
	Streams   int
	IndexRows int
	Snapshots int // that were compared with a replay
	Findings  int
}

func (s Summary) String() string {
	return fmt.Sprintf("%d records of %d streams, %d index rows, %d snapshots", s.Records, s.Streams, s.IndexRows, s.Snapshots)
}

// checker is one run.
type checker struct {
	journal.Journal
	report  func(Finding)
	summary Summary

	settled  uint64                      // records up to this position were there before anything else was read
	rows     map[journal.IndexRow]string // the index as it was read: rows without their streams, and their streams
	heads    map[string]journal.Stream
	versions map[string]span // of each stream, as the positions showed
	want     expected        // the index as the records say
}

// span is how far a stream goes.
type span struct{ settled, last uint64 }

// Check looks at the whole journal and reports everything that is wrong. An error means that it could not look.
func Check(ctx context.Context, j journal.Journal, report func(Finding)) (Summary, error) {
	c := &checker{
		Journal: j, report: report,
		rows: map[journal.IndexRow]string{}, heads: map[string]journal.Stream{}, versions: map[string]span{},
		want: expected{},
	}
	for _, step := range []func(context.Context) error{
		c.readLastPosition, c.readRows, c.checkPositions, c.checkStreams, c.checkIndex,
	} {
		if err := step(ctx); err != nil {
			return c.summary, fmt.Errorf("verify: %w", err)
		}
	}
	return c.summary, nil
}

func (c *checker) found(where, what string, args ...any) {
	c.summary.Findings++
	c.report(Finding{Where: where, What: fmt.Sprintf(what, args...)})
}

// readLastPosition finds the last position with few questions: it gallops, and then halves what is left.
func (c *checker) readLastPosition(ctx context.Context) error {
	beyond := func(position uint64) (bool, error) {
		records, err := c.ReadAll(ctx, position, 1)
		return len(records) > 0, err
	}
	step := uint64(1)
	for {
		more, err := beyond(c.settled + step)
		if err != nil {
			return err
		}
		if !more {
			break
		}
		c.settled += step
		step *= 2
	}
	for ; step > 0; step /= 2 {
		more, err := beyond(c.settled + step - 1)
		if err != nil {
			return err
		}
		if more {
			c.settled += step
		}
	}
	return nil
}

// readRows reads the index and the heads.
func (c *checker) readRows(ctx context.Context) error {
	for after := (journal.IndexRow{}); ; {
		page, err := c.Index(ctx, after, pageSize)
		if err != nil {
			return err
		}
		for _, row := range page {
			stream := row.Stream
			row.Stream = ""
			c.rows[row] = stream
		}
		c.summary.IndexRows += len(page)
		if len(page) < pageSize {
			break
		}
		after = page[len(page)-1]
	}
	for after := ""; ; {
		page, err := c.Streams(ctx, after, pageSize)
		if err != nil {
			return err
		}
		for _, s := range page {
			c.heads[s.Name] = s
		}
		if len(page) < pageSize {
			return nil
		}
		after = page[len(page)-1].Name
	}
}

// checkPositions follows the positions over all streams.
func (c *checker) checkPositions(ctx context.Context) error {
	var position uint64
	for {
		page, err := c.ReadAll(ctx, position, pageSize)
		if err != nil {
			return err
		}
		for i := range page {
			r := &page[i]
			if r.Position != position+1 {
				c.found(fmt.Sprint("position ", position+1), "missing: %d comes after %d", r.Position, position)
			}
			position = r.Position
			s := c.versions[r.Stream]
			if r.Version != s.last+1 {
				c.found(r.Stream, "version %d comes after version %d, at position %d", r.Version, s.last, r.Position)
			}
			if s.last = r.Version; position <= c.settled {
				s.settled = r.Version
			}
			c.versions[r.Stream] = s
		}
		c.summary.Records += uint64(len(page))
		if !journal.Full(page, pageSize) {
			return nil
		}
	}
}

// checkStreams replays each stream by itself.
func (c *checker) checkStreams(ctx context.Context) error {
	c.summary.Streams = len(c.versions)
	for _, name := range slices.Sorted(maps.Keys(c.heads)) {
		if _, ok := c.versions[name]; !ok {
			c.found(name, "the head is at version %d, but there are no records", c.heads[name].Version)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.versions)) {
		if err := c.checkStream(ctx, name, c.versions[name]); err != nil {
			return err
		}
	}
	return nil
}

// replayer follows one stream. It reports what is wrong, and returns false when it makes no sense to go on.
type replayer interface {
	record(r *journal.Record) bool
	// snapshot compares a snapshot that is of the version of the last record.
	snapshot(s *journal.Snapshot)
}

func (c *checker) replayer(name string) replayer {
	switch {
	case strings.HasPrefix(name, lockPrefix):
		return newLockReplay(c, name)
	case strings.HasPrefix(name, orgPrefix):
		return newOrgReplay(c, name)
	case strings.HasPrefix(name, userPrefix):
		return &userReplay{checker: c, stream: name}
	case strings.HasPrefix(name, collective.StreamPrefix):
		return &collectiveReplay{checker: c, stream: name}
	case strings.HasPrefix(name, named.StreamPrefix):
		return &requestReplay{c}
	case name == collective.PINStream:
		return &pinReplay{c}
	}
	c.found(name, "no stream of Latchkey has such a name")
	return nil
}

func (c *checker) checkStream(ctx context.Context, name string, versions span) error {
	snapshot, ok, err := c.LoadSnapshot(ctx, name) // before the records, so that they go at least as far
	if err != nil {
		return err
	}
	if !ok {
		snapshot.Version = 0
	}
	head, known := c.heads[name]
	if !known && versions.settled > 0 {
		c.found(name, "there are records, but no head")
	}
	if head.Version < versions.settled {
		c.found(name, "the head is at version %d, but the records go to %d", head.Version, versions.settled)
	}
	replay := c.replayer(name)
	var version uint64
	for r, err := range journal.All(ctx, c.Journal, name, 0) {
		if err != nil {
			return err
		}
		if r.Version != version+1 {
			c.found(name, "version %d is read after version %d", r.Version, version)
		}
		version = r.Version
		if replay != nil && !replay.record(r) {
			replay = nil
		}
		if r.Version == head.Version && r.AppendID != head.AppendID {
			c.found(name, "the head names the append %q, but version %d came with %q", head.AppendID, r.Version, r.AppendID)
		}
		if r.Version == snapshot.Version && replay != nil {
			c.summary.Snapshots++
			replay.snapshot(&snapshot)
		}
	}
	if version < versions.last {
		c.found(name, "its records end at version %d, but the positions have version %d", version, versions.last)
	}
	if head.Version > version {
		c.found(name, "the head is at version %d, but the records end at %d", head.Version, version)
	}
	if snapshot.Version > version {
		c.found(name, "the snapshot is of version %d, but the records end at %d", snapshot.Version, version)
	}
	return nil
}
