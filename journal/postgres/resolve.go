package postgres

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/latchkey/latchkey/journal"
)

// lookInto finds out why chains were refused: it reads the claims that they want, their heads, and, if they are in
// doubt, the records that are where theirs would be. What is settled by that is answered; the rest can be planned anew.
// A claim comes with a version, and in this order whoever sees the claim sees the version, and its records, too. What was
// seen counts when it is covered; until then nothing of it is known.
func (w *writer) lookInto(ctx context.Context, refused []*chain, known *knowledge) error {
	found := make(map[string][]journal.Record)
	var questions pgx.Batch
	askClaims(&questions, refused, known)
	askHeads(&questions, refused, known)
	askRecords(&questions, refused, found)
	questions.Queue(coverStatement)
	if err := confirmed(w.conn, func() error { return w.conn.SendBatch(ctx, &questions).Close() }); err != nil {
		known.forget()
		return err
	}
	for _, c := range refused {
		c.concluded(found[c.stream], known, w.metrics)
	}
	return nil
}

// concluded answers what of a refused chain is settled by what was found.
func (c *chain) concluded(records []journal.Record, known *knowledge, m *metrics) {
	all := slices.Concat(c.links, c.misfits)
	taken := false
	for _, a := range all {
		if last, ok := a.among(records); ok { // with its claims, which it may have wanted to be new
			a.answer(journal.Result{Version: a.version(), Position: last})
			known.heads[c.stream] = max(known.heads[c.stream], a.version())
			m.resolved.WithLabelValues("found").Inc()
			continue
		}
		taken = taken || known.claimed(a) != nil
	}
	first, head := c.links[0], known.heads[c.stream]
	if taken || head > first.Expected { // it can never happen any more, whoever may still try
		for _, a := range all {
			if a.doubt && !a.answered {
				a.doubt = false
				m.resolved.WithLabelValues("refused").Inc()
			}
		}
	}
	// When no claim was in the way, the head was. It may be right by now, but it was not when it was asked for.
	if !first.answered && !first.doubt && !taken {
		first.fail(fmt.Errorf("%w: %s is at %d, and was not at %d", journal.ErrConflict, c.stream, head, first.Expected))
	}
}

func askHeads(questions *pgx.Batch, refused []*chain, known *knowledge) {
	streams := make([]string, 0, len(refused))
	for _, c := range refused {
		streams = append(streams, c.stream)
	}
	questions.Queue("SELECT name, version FROM streams WHERE name = ANY($1::text[])", streams).Query(func(rows pgx.Rows) error {
		for _, stream := range streams {
			known.heads[stream] = 0
		}
		var name string
		var version int64
		_, err := pgx.ForEachRow(rows, []any{&name, &version}, func() error {
			known.heads[name] = uint64(version)
			return nil
		})
		return err
	})
}

func askClaims(questions *pgx.Batch, refused []*chain, known *knowledge) {
	var kinds, keys []string
	for _, c := range refused {
		for _, a := range c.links {
			for _, change := range a.Index {
				if change.Op == journal.Claim {
					kinds, keys = append(kinds, change.Kind), append(keys, change.Key)
				}
			}
		}
	}
	if len(kinds) == 0 {
		return
	}
	questions.Queue(`SELECT c.kind, c.key, c.stream FROM unnest($1::text[], $2::text[]) AS w(kind, key)
		JOIN claims c ON c.kind = w.kind AND c.key = w.key`, kinds, keys).Query(func(rows pgx.Rows) error {
		var at place
		var stream string
		_, err := pgx.ForEachRow(rows, []any{&at.kind, &at.key, &stream}, func() error {
			known.taken[at] = stream
			return nil
		})
		return err
	})
}

func askRecords(questions *pgx.Batch, refused []*chain, found map[string][]journal.Record) {
	var streams []string
	var first, last []int64
	for _, c := range refused {
		for _, a := range slices.Concat(c.links, c.misfits) {
			if a.doubt {
				streams, first, last = append(streams, a.Stream), append(first, int64(a.Expected)), append(last, int64(a.version()))
			}
		}
	}
	if len(streams) == 0 {
		return
	}
	questions.Queue(`SELECT `+recordFields+` FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS w(name, first, last)
		JOIN records r ON r.stream = w.name AND r.version > w.first AND r.version <= w.last`, streams, first, last).Query(func(rows pgx.Rows) error {
		records, err := pgx.CollectRows(rows, toRecord)
		for _, r := range records {
			found[r.Stream] = append(found[r.Stream], r)
		}
		return err
	})
}

// among tells whether the append's own records are in the journal, and the position of the last. The append ID alone
// would not do: another node may have stored an answer of its own to the same request at the same version.
func (p *pending) among(records []journal.Record) (position uint64, ok bool) {
	if !p.doubt {
		return 0, false
	}
	matched := 0
	for _, r := range records {
		i := int64(r.Version) - int64(p.Expected) - 1
		if i < 0 || i >= int64(len(p.Records)) {
			continue
		}
		mine := &p.Records[i]
		if r.AppendID != p.ID || r.Type != mine.Type || !r.Time.Equal(kept(mine.Time)) || !bytes.Equal(r.Data, mine.Data) {
			return 0, false
		}
		matched++
		position = max(position, r.Position)
	}
	return position, matched == len(p.Records)
}
