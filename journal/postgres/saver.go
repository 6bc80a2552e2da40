package postgres

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/journal/internal/batch"
)

// saveTimeout is how long the saver waits for a batch of snapshots to be stored, before it leaves them out.
const saveTimeout = 5 * time.Second

// saver stores snapshots, beside the writer and without waiting for the disk.
type saver struct {
	pending *batch.Snapshots
	wake    chan struct{}
	closing chan struct{}
	stopped chan struct{}
}

func newSaver() *saver {
	return &saver{
		pending: batch.NewSnapshots(), wake: make(chan struct{}, 1), closing: make(chan struct{}), stopped: make(chan struct{}),
	}
}

// SaveSnapshot implements journal.Journal.
func (j *Journal) SaveSnapshot(ctx context.Context, s journal.Snapshot) error {
	if err := j.usable(ctx); err != nil {
		return err
	}
	if !j.saver.pending.Put(s) {
		j.metrics.SnapshotsLeftOut.Inc()
		return nil
	}
	select {
	case j.saver.wake <- struct{}{}:
	default: // it will wake up anyway
	}
	return nil
}

// save is the saver's goroutine. When the journal is closed it stores what is there and ends.
func (j *Journal) save() {
	defer close(j.saver.stopped)
	for closing := false; !closing; {
		select {
		case <-j.saver.wake:
		case <-j.saver.closing:
			closing = true
		}
		for more := true; more; {
			var some []journal.Snapshot
			if some, more = j.saver.pending.Take(); len(some) == 0 {
				break
			}
			if err := j.saveSome(some); err != nil {
				j.metrics.SnapshotsLeftOut.Add(float64(len(some)))
				j.log.Debug("snapshots were left out", "count", len(some), "error", err)
				more = more && !closing // the database is away, and nobody waits for a cache
			}
		}
	}
}

func (j *Journal) saveSome(some []journal.Snapshot) error {
	// In one order, so that nodes that save snapshots of the same streams wait for each other and not in a circle.
	slices.SortFunc(some, func(a, b journal.Snapshot) int { return strings.Compare(a.Stream, b.Stream) })
	var streams, codecs []string
	var versions []int64
	var data [][]byte
	for i := range some {
		streams, codecs, versions = append(streams, some[i].Stream), append(codecs, some[i].Codec), append(versions, bounded(some[i].Version))
		data = append(data, append([]byte{}, some[i].Data...))
	}
	ctx, cancel := context.WithTimeout(j.ctx, saveTimeout)
	defer cancel()
	tx, err := j.pool.Begin(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback(ctx) }() // after a commit there is nothing to roll back
	if _, err := tx.Exec(ctx, "SET LOCAL synchronous_commit = off"); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `INSERT INTO snapshots (stream, version, codec, data)
		SELECT n.stream, n.version, n.codec, n.data
		FROM unnest($1::text[], $2::bigint[], $3::text[], $4::bytea[]) WITH ORDINALITY AS n(stream, version, codec, data, place)
		WHERE EXISTS (SELECT FROM streams s WHERE s.name = n.stream AND s.version >= n.version) ORDER BY n.place
		ON CONFLICT (stream) DO UPDATE SET version = excluded.version, codec = excluded.codec, data = excluded.data
		WHERE excluded.version > snapshots.version`, streams, versions, codecs, data); err != nil {
		return err
	}
	return tx.Commit(ctx)
}
