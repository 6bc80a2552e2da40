package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/latchkey/latchkey/journal"
)

// Streams implements journal.Journal.
func (j *Journal) Streams(ctx context.Context, after string, limit int) ([]journal.Stream, error) {
	return query(ctx, j, func(row pgx.CollectableRow) (s journal.Stream, err error) {
		var version int64
		err = row.Scan(&s.Name, &version, &s.AppendID)
		s.Version = uint64(version)
		return s, err
	}, "SELECT name, version, append_id FROM streams WHERE name > $1 ORDER BY name LIMIT $2", after, max(limit, 0))
}

// Index implements journal.Journal.
func (j *Journal) Index(ctx context.Context, after journal.IndexRow, limit int) ([]journal.IndexRow, error) {
	return query(ctx, j, pgx.RowToStructByPos[journal.IndexRow], `
		(SELECT kind, key, '' AS ref, stream FROM claims WHERE (kind, key) > ($1, $2) ORDER BY kind, key LIMIT $4)
		UNION ALL
		(SELECT kind, key, ref, stream FROM entries WHERE (kind, key, ref) > ($1, $2, $3) ORDER BY kind, key, ref LIMIT $4)
		ORDER BY kind, key, ref LIMIT $4`, after.Kind, after.Key, after.Ref, max(limit, 0))
}

// Snapshots implements journal.Journal.
func (j *Journal) Snapshots(ctx context.Context, after string, limit int) ([]journal.Snapshot, error) {
	return query(ctx, j, toSnapshot, `SELECT stream, version, codec, data FROM snapshots
		WHERE stream > $1 ORDER BY stream LIMIT $2`, after, max(limit, 0))
}
