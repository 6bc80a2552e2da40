package postgres

import (
	"context"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/latchkey/latchkey/internal/planted"
)

// The statement that stores a batch, as it is without index changes. The parts wait for each other through the data that
// they read: the heads move, in the order of the names; then the positions are locked for everybody else who has records
// to commit; then the rest is written. `IS TRUE` keeps the planner from making a join of what is a look-up in a hash table.
const (
	heads = `
WITH chain AS MATERIALIZED (
	SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::text[]) AS c(stream, expected, version, append_id)
),`
	store = `
made AS (
	INSERT INTO streams (name, version, append_id) SELECT stream, version, append_id FROM chain WHERE expected = 0
	ON CONFLICT DO NOTHING RETURNING name
), moved AS (
	UPDATE streams s SET version = c.version, append_id = c.append_id FROM chain c
	WHERE c.expected > 0 AND s.name = c.stream AND s.version = c.expected RETURNING s.name
), accepted AS MATERIALIZED (
	SELECT name FROM made UNION ALL SELECT name FROM moved
), staged AS MATERIALIZED (
	SELECT r.*, row_number() OVER (ORDER BY number) AS place
	FROM unnest($5::text[], $6::bigint[], $7::timestamptz[], $8::text[], $9::text[], $10::bytea[])
		WITH ORDINALITY AS r(stream, version, time, type, append_id, data, number)
	WHERE (stream IN (SELECT name FROM accepted)) IS TRUE
), counted AS MATERIALIZED (
	SELECT last_position() AS before WHERE EXISTS (SELECT FROM staged)
), written AS (
	INSERT INTO records (position, version, time, stream, type, append_id, data)
	SELECT before + place, version, time, stream, type, append_id, data FROM counted, staged
)`
	result = `
SELECT name, before FROM accepted, counted`

	// With index changes, a chain that wants a claim that it cannot have is left out. A claim that comes up in the meantime
	// violates the primary key, and the statement fails as a whole; one of the same stream has moved its head, too.
	indexedHeads = `
WITH wanted AS MATERIALIZED (
	SELECT * FROM unnest($11::text[], $12::text[], $13::text[], $14::boolean[]) AS w(stream, kind, key, new)
), taken AS MATERIALIZED (
	SELECT w.stream FROM wanted w JOIN claims c ON c.kind = w.kind AND c.key = w.key WHERE w.new OR c.stream <> w.stream
), chain AS MATERIALIZED (
	SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::text[]) AS c(stream, expected, version, append_id)
	WHERE (stream NOT IN (SELECT stream FROM taken)) IS TRUE
),`
	index = `, claimed AS (
	INSERT INTO claims (kind, key, stream) SELECT kind, key, stream FROM counted, wanted w
	WHERE (stream IN (SELECT name FROM accepted)) IS TRUE
		AND NOT EXISTS (SELECT FROM claims c WHERE c.kind = w.kind AND c.key = w.key)
), put AS (
	INSERT INTO entries (kind, key, ref, stream)
	SELECT kind, key, ref, stream FROM counted, unnest($15::text[], $16::text[], $17::text[], $18::text[]) AS p(stream, kind, key, ref)
	WHERE (stream IN (SELECT name FROM accepted)) IS TRUE
	ON CONFLICT (kind, key, ref) DO UPDATE SET stream = excluded.stream
), removed AS (
	DELETE FROM entries e
	USING counted, unnest($19::text[], $20::text[], $21::text[], $22::text[], $23::boolean[]) AS r(stream, kind, key, ref, anyone)
	WHERE (r.stream IN (SELECT name FROM accepted)) IS TRUE
		AND e.kind = r.kind AND e.key = r.key AND e.ref = r.ref AND (r.anyone OR e.stream = r.stream)
)`

	plainStatement   = heads + store + result
	indexedStatement = indexedHeads + store + index + result
)

// arguments are the arrays of a plan.
func (p *plan) arguments() (statement string, args []any) {
	records := 0
	for _, c := range p.chains {
		records += int(c.version - c.links[0].Expected)
	}
	h, r := newHeadColumns(len(p.chains)), newRecordColumns(records)
	for _, c := range p.chains {
		h.add(c)
		for _, a := range c.links {
			r.add(a)
		}
	}
	args = []any{h.stream, h.expected, h.version, h.appendID, r.stream, r.version, r.time, r.typ, r.appendID, r.data}
	if len(p.claims)+len(p.entries) == 0 {
		return plainStatement, args
	}
	var claims, puts, removes indexColumns
	var fresh, anyone []bool
	for at, c := range p.claims {
		claims.add(c.stream, at)
		fresh = append(fresh, c.fresh)
	}
	for at, c := range p.entries {
		if c.put {
			puts.add(c.stream, at)
		} else {
			removes.add(c.stream, at)
			anyone = append(anyone, c.anyone)
		}
	}
	return indexedStatement, append(args, claims.stream, claims.kind, claims.key, fresh, puts.stream, puts.kind, puts.key, puts.ref,
		removes.stream, removes.kind, removes.key, removes.ref, anyone)
}

type headColumns struct {
	stream, appendID  []string
	expected, version []int64
}

func newHeadColumns(n int) headColumns {
	return headColumns{
		stream: make([]string, 0, n), appendID: make([]string, 0, n), expected: make([]int64, 0, n), version: make([]int64, 0, n),
	}
}

func (h *headColumns) add(c *chain) {
	h.stream, h.appendID = append(h.stream, c.stream), append(h.appendID, c.links[len(c.links)-1].ID)
	h.expected, h.version = append(h.expected, int64(c.links[0].Expected)), append(h.version, int64(c.version))
}

type recordColumns struct {
	stream, typ, appendID []string
	version               []int64
	time                  []time.Time
	data                  [][]byte
}

func newRecordColumns(n int) recordColumns {
	return recordColumns{
		stream: make([]string, 0, n), typ: make([]string, 0, n), appendID: make([]string, 0, n),
		version: make([]int64, 0, n), time: make([]time.Time, 0, n), data: make([][]byte, 0, n),
	}
}

func (r *recordColumns) add(a *pending) {
	for i := range a.Records {
		record := &a.Records[i]
		r.stream, r.typ, r.appendID = append(r.stream, a.Stream), append(r.typ, record.Type), append(r.appendID, a.ID)
		r.version = append(r.version, int64(a.Expected)+int64(i)+1)
		r.time = append(r.time, kept(record.Time))
		if record.Data == nil {
			r.data = append(r.data, []byte{}) // nil would be NULL
		} else {
			r.data = append(r.data, record.Data)
		}
	}
}

type indexColumns struct{ stream, kind, key, ref []string }

func (c *indexColumns) add(stream string, at place) {
	c.stream, c.kind, c.key, c.ref = append(c.stream, stream), append(c.kind, at.kind), append(c.key, at.key), append(c.ref, at.ref)
}

// kept is a time as the journal keeps it.
func kept(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

// run stores what of the plan is not in conflict, and answers those. It returns the chains that were refused, and the position
// of the last record that it stored.
func (p *plan) run(ctx context.Context, conn *pgx.Conn, known *knowledge) (refused []*chain, last uint64, err error) {
	statement, args := p.arguments()
	if planted.Has(planted.PositionsWithoutOrder) {
		statement = strings.NewReplacer("last_position()", "0::bigint", "before + place", "nextval('planted')").Replace(statement)
	}
	accepted := make(map[string]bool, len(p.chains))
	var stream string
	var before int64
	if err := confirmed(conn, func() error {
		rows, err := conn.Query(ctx, statement, args...)
		if err != nil {
			return err
		}
		_, err = pgx.ForEachRow(rows, []any{&stream, &before}, func() error {
			accepted[stream] = true
			return nil
		})
		return err
	}); err != nil {
		return nil, 0, err
	}
	last = uint64(before)
	for _, c := range p.chains {
		if accepted[c.stream] {
			last = c.happened(last, known)
		} else {
			refused = append(refused, c)
		}
	}
	return refused, last, nil
}
