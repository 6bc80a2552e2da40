package postgres

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey/latchkey/journal"
)

// readAttempts is how often a query is tried when the connection is to blame: a pool finds out about connections that
// broke while nobody used them when somebody does.
const readAttempts = 4

// small is the data in bytes that a record may have to be read before it is known whether its page has room for it. Most
// have less.
const small = 1024

const (
	placeFields  = "r.stream, r.version, r.position, r.type, r.time, r.append_id"
	recordFields = placeFields + ", r.data, 0"
)

var sizedFields = placeFields + fmt.Sprintf(", CASE WHEN octet_length(r.data) <= %d THEN r.data END, octet_length(r.data)", small)

// sized is a record, without its data if they are not small.
type sized struct {
	journal.Record
	size int
}

func toSized(row pgx.CollectableRow) (r sized, err error) {
	var version, position int64
	err = row.Scan(&r.Stream, &version, &position, &r.Type, &r.Time, &r.AppendID, &r.Data, &r.size)
	r.Version, r.Position, r.Time = uint64(version), uint64(position), r.Time.UTC()
	return r, err
}

func toRecord(row pgx.CollectableRow) (journal.Record, error) {
	r, err := toSized(row)
	return r.Record, err
}

// query asks one question and collects its rows, on a connection of the pool.
func query[T any](ctx context.Context, j *Journal, row pgx.RowToFunc[T], question string, args ...any) (all []T, err error) {
	if err := j.use(ctx); err != nil {
		return nil, err
	}
	defer j.reading.Done()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(j.ctx, cancel)()

	var delay backoff
	for attempt := 1; ; attempt++ {
		err := j.pool.AcquireFunc(ctx, func(conn *pgxpool.Conn) error {
			return confirmed(conn.Conn(), func() error {
				rows, err := conn.Query(ctx, question, args...)
				if err == nil {
					all, err = pgx.CollectRows(rows, row)
				}
				return err
			})
		})
		switch {
		case err == nil:
			return all, nil
		case j.ctx.Err() != nil:
			return nil, journal.ErrClosed
		case ctx.Err() != nil || attempt == readAttempts || !disconnected(err) || errors.Is(err, errNotPrimary):
			return nil, fmt.Errorf("postgres journal: %w", err)
		}
		select {
		case <-time.After(delay.next()):
		case <-ctx.Done():
		}
	}
}

// use keeps the pool open until j.reading is done.
func (j *Journal) use(ctx context.Context) error {
	if err := j.usable(ctx); err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return journal.ErrClosed
	}
	j.reading.Add(1)
	return nil
}

// one returns the only row that a question can have.
func one[T any](rows []T, err error) (value T, ok bool, _ error) {
	if err != nil || len(rows) == 0 {
		return value, false, err
	}
	return rows[0], true, nil
}

// Head implements journal.Journal.
func (j *Journal) Head(ctx context.Context, stream string) (version uint64, lastAppendID string, err error) {
	type head struct {
		Version  int64
		AppendID string
		Position int64
	}
	h, ok, err := one(query(ctx, j, pgx.RowToStructByPos[head], `SELECT s.version, s.append_id, coalesce(r.position, 0)
		FROM streams s LEFT JOIN records r ON r.stream = s.name AND r.version = s.version WHERE s.name = $1`, stream))
	if err == nil && ok {
		err = j.cover(ctx, uint64(h.Position))
	}
	if err != nil {
		return 0, "", err
	}
	return uint64(h.Version), h.AppendID, nil
}

// Read implements journal.Journal.
func (j *Journal) Read(ctx context.Context, stream string, after uint64, limit int) ([]journal.Record, error) {
	return j.records(ctx, `r.stream = $1 AND r.version > $2 ORDER BY r.version LIMIT $3`, stream, bounded(after), max(limit, 0))
}

// ReadAll implements journal.Journal.
func (j *Journal) ReadAll(ctx context.Context, after uint64, limit int) ([]journal.Record, error) {
	return j.records(ctx, `r.position > $1 ORDER BY r.position LIMIT $2`, bounded(after), max(limit, 0))
}

// records returns a page of records, in the order of their positions, and covers them.
func (j *Journal) records(ctx context.Context, which string, args ...any) ([]journal.Record, error) {
	found, err := query(ctx, j, toSized, `SELECT `+sizedFields+` FROM records r WHERE `+which, args...)
	if err != nil {
		return nil, err
	}
	records, err := j.fill(ctx, found)
	if err == nil && len(records) > 0 {
		err = j.cover(ctx, records[len(records)-1].Position)
	}
	if err != nil {
		return nil, err
	}
	return records, nil
}

// fill makes records of as many as are one page, with the data that are missing.
func (j *Journal) fill(ctx context.Context, found []sized) ([]journal.Record, error) {
	var large []int64
	records := make([]journal.Record, 0, len(found))
	for total := 0; len(records) < len(found) && total < journal.PageBytes; {
		r := &found[len(records)]
		if total += r.size; r.size > small {
			large = append(large, int64(r.Position))
		}
		records = append(records, r.Record)
	}
	if len(large) == 0 {
		return records, nil
	}
	whole, err := query(ctx, j, toRecord, `SELECT `+recordFields+` FROM records r WHERE r.position = ANY($1) ORDER BY r.position`, large)
	if err != nil {
		return nil, err
	}
	for i := range records {
		r := &records[i]
		if len(large) == 0 || int64(r.Position) != large[0] {
			continue
		}
		// A standby that took over in between, and has lost what the first question saw, may have another record there.
		if len(whole) == 0 || whole[0].Stream != r.Stream || whole[0].Version != r.Version || whole[0].AppendID != r.AppendID {
			return nil, fmt.Errorf("postgres journal: the record at position %d is another one than a moment ago", r.Position)
		}
		*r, whole, large = whole[0], whole[1:], large[1:]
	}
	return records, nil
}

// Claimed implements journal.Journal.
func (j *Journal) Claimed(ctx context.Context, kind, key string) (stream string, err error) {
	type claim struct {
		Stream string
		Newest int64 // a claim is not newer than that
	}
	c, ok, err := one(query(ctx, j, pgx.RowToStructByPos[claim],
		"SELECT stream, (SELECT coalesce(max(position), 0) FROM records) FROM claims WHERE kind = $1 AND key = $2", kind, key))
	if err == nil && ok {
		err = j.cover(ctx, uint64(c.Newest))
	}
	if err != nil {
		return "", err
	}
	return c.Stream, nil
}

// Entries implements journal.Journal.
func (j *Journal) Entries(ctx context.Context, kind, key, after string, limit int) ([]journal.Entry, error) {
	entries, err := query(ctx, j, pgx.RowToStructByPos[journal.Entry], `SELECT ref, stream FROM entries
		WHERE kind = $1 AND key = $2 AND ref > $3 ORDER BY ref LIMIT $4`, kind, key, after, max(limit, 0))
	if err == nil {
		err = j.cover(ctx, anything) // an entry that is not there any more may be what is new
	}
	if err != nil {
		return nil, err
	}
	return entries, nil
}

// LoadSnapshot implements journal.Journal. It is of what somebody was told, so there is nothing to cover.
func (j *Journal) LoadSnapshot(ctx context.Context, stream string) (journal.Snapshot, bool, error) {
	return one(query(ctx, j, toSnapshot, "SELECT stream, version, codec, data FROM snapshots WHERE stream = $1", stream))
}

func toSnapshot(row pgx.CollectableRow) (s journal.Snapshot, err error) {
	var version int64
	err = row.Scan(&s.Stream, &version, &s.Codec, &s.Data)
	s.Version = uint64(version)
	return s, err
}

// bounded is a version or position as PostgreSQL knows it.
func bounded(after uint64) int64 { return int64(min(after, math.MaxInt64)) }

// Healthy implements journal.Journal. It asks the database, so that a node that has nothing to write knows too.
func (j *Journal) Healthy(ctx context.Context) error {
	if err := j.usable(ctx); err != nil {
		return err
	}
	if err := j.trouble.Load(); err != nil {
		return fmt.Errorf("postgres journal: appends do not get through: %w", *err)
	}
	type settings struct {
		ReadOnly          bool
		SynchronousCommit string
		Fsync             string
	}
	s, _, err := one(query(ctx, j, pgx.RowToStructByPos[settings], `SELECT current_setting('transaction_read_only')::boolean,
		current_setting('synchronous_commit'), current_setting('fsync')`))
	switch {
	case err != nil:
		return err
	case s.ReadOnly:
		return fmt.Errorf("postgres journal: %w", errNotPrimary)
	case s.SynchronousCommit == "off":
		return errors.New("postgres journal: synchronous_commit is off, so a crash of PostgreSQL can lose what was acknowledged; turn it on")
	case s.Fsync == "off":
		return errors.New("postgres journal: fsync is off, so a power cut can lose what was acknowledged; turn it on")
	}
	return j.cover(ctx, anything) // a commit comes back, from the standby too
}
