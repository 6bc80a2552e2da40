package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey/latchkey/journal/postgres"
	"github.com/latchkey/latchkey/journal/postgres/pgtest"
)

// slowDisk makes every statement that writes to the table take 1 ms longer: the last thing before its commit, while the
// transaction has its locks, as it would if the disk under the write-ahead log were slow. Transactions that do not wait
// for each other sleep side by side, which is at least as good for them as sharing one flush.
const slowDisk = `CREATE FUNCTION slow_disk() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_sleep(0.001); RETURN NULL; END $$;
CREATE TRIGGER slow_disk AFTER INSERT OR UPDATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION slow_disk()`

// cluster is a PostgreSQL of our own, with a new database for each thing that is measured.
type cluster struct {
	*pgtest.Server
	options
	slow bool
}

var databaseNumber int

func (c *cluster) newDatabase() (name string, err error) {
	databaseNumber++
	name = fmt.Sprint("bench", databaseNumber)
	return name, c.CreateDatabase(background, name)
}

// journals opens so many nodes' journals of one new database.
func (c *cluster) journals(n int) (name string, all []*postgres.Journal, err error) {
	if name, err = c.newDatabase(); err != nil {
		return "", nil, err
	}
	for range n {
		j, err := postgres.Open(background, postgres.Options{URL: c.URL(name)})
		if err != nil {
			return "", nil, errors.Join(err, closeAll(all))
		}
		all = append(all, j)
	}
	if c.slow {
		err = c.Exec(background, name, fmt.Sprintf(slowDisk, "records"))
	}
	return name, all, err
}

func closeAll(all []*postgres.Journal) error {
	var errs []error
	for _, j := range all {
		errs = append(errs, j.Close())
	}
	return errors.Join(errs...)
}

// runPostgres prints the figures of the PostgreSQL engine.
func runPostgres(o options, t *table) (err error) {
	server, err := pgtest.Start(background, filepath.Dir(o.dir)) // its user must be able to get there
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Remove()) }()
	t.row("PostgreSQL journal", "fast disk", "1 ms more a commit", "require", "")
	t.row("------------------", "---------", "------------------", "-------", "")
	for _, measure := range []func(*cluster, *table) error{batchesOverTransactions, bytesInDatabase, hotKeyOverRow, races} {
		if err := measure(&cluster{Server: server, options: o}, t); err != nil {
			return err
		}
		t.Flush()
	}
	return nil
}

// both runs a measurement without the delay and with it.
func both[T any](c *cluster, measure func() (T, error)) (fast, slow T, err error) {
	if fast, err = measure(); err != nil {
		return fast, slow, err
	}
	c.slow = true
	slow, err = measure()
	return fast, slow, err
}

// rivalPools are the numbers of connections that what the journal is compared with may have; the best one counts.
var rivalPools = []int{1, 2, 4, 8, 16, 32}

// best is the highest rate of the rivals, and the pool that it had.
func best(results [][]result) (rate float64, pool int) {
	for i, size := range rivalPools {
		if r := median(results[i], perSec); r > rate {
			rate, pool = r, size
		}
	}
	return rate, pool
}

const manyCallers = 256

// transactions appends one by one, each append in a transaction of its own, as one would without group commit. Its
// positions come from a sequence, so that transactions need not wait for each other (but readers lose records).
func (c *cluster) transactions(connections int) (_ *pgxpool.Pool, one func(caller int) error, err error) {
	pool, err := c.rival(connections, "records",
		"CREATE TABLE heads (name text PRIMARY KEY, version bigint NOT NULL, append_id text NOT NULL) WITH (fillfactor = 80)",
		"INSERT INTO heads SELECT 'lock/' || n, 0, '' FROM generate_series(1, 256) n",
		`CREATE TABLE records (position bigserial PRIMARY KEY, version bigint NOT NULL, time timestamptz NOT NULL, stream text NOT NULL,
			type text NOT NULL, append_id text NOT NULL, data bytea NOT NULL, UNIQUE (stream, version))`)
	if err != nil {
		return nil, nil, err
	}
	versions := make([]uint64, manyCallers)
	return pool, func(caller int) error {
		a := appendOf(fmt.Sprintf("lock/%d", caller+1), versions[caller], 1)
		versions[caller]++
		r := &a.Records[0]
		done, err := pool.Exec(background, `WITH moved AS (
				UPDATE heads SET version = version + 1, append_id = $3 WHERE name = $1 AND version = $2 RETURNING name, version
			) INSERT INTO records (version, time, stream, type, append_id, data) SELECT version, $4, name, $5, $3, $6 FROM moved`,
			a.Stream, a.Expected, a.ID, r.Time, r.Type, r.Data)
		if err == nil && done.RowsAffected() != 1 {
			err = fmt.Errorf("%s was not appended to", a.Stream)
		}
		return err
	}, nil
}

func batchesOverTransactions(c *cluster, t *table) error {
	type pair struct {
		batches, single float64
		pool            int
	}
	fast, slow, err := both(c, func() (p pair, err error) {
		results, err := c.race(manyCallers, c.transactions, func(j *postgres.Journal) func(int) error {
			return newAppenders(j, manyCallers).one
		})
		if err != nil {
			return p, err
		}
		p.single, p.pool = best(results)
		p.batches = median(results[len(rivalPools)], perSec)
		return p, nil
	})
	if err != nil {
		return err
	}
	show := func(p pair) string {
		return fmt.Sprintf("%.1f x (%.0f / %.0f, pool %d)", p.batches/p.single, p.batches, p.single, p.pool)
	}
	t.row("256 appenders over one transaction an append", show(fast), show(slow), ">= 2 x / -", held(fast.batches >= 2*fast.single))
	return nil
}

func bytesInDatabase(c *cluster, t *table) (err error) {
	name, all, err := c.journals(1)
	if err != nil {
		return errors.Join(err, closeAll(all))
	}
	records, given, err := fillStreams(all[0])
	if err = errors.Join(err, closeAll(all)); err != nil {
		return err
	}
	conn, err := pgx.Connect(background, c.URL(name))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(background)) }()
	var used int64
	if err := conn.QueryRow(background, `SELECT sum(pg_total_relation_size(oid)) FROM pg_class
		WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace`).Scan(&used); err != nil {
		return err
	}
	ratio := float64(used) / float64(given)
	t.row(fmt.Sprintf("disk bytes over payload bytes, %d records", records), fmt.Sprintf("%.2f", ratio), "", "<= 2.0", held(ratio <= 2))
	return nil
}

func hotKeyOverRow(c *cluster, t *table) error {
	type pair struct {
		journal, crud float64
		pool          int
	}
	fast, slow, err := both(c, func() (p pair, err error) {
		results, err := c.race(hotCallers, c.row, func(j *postgres.Journal) func(int) error { return (&hot{to: j}).one })
		if err != nil {
			return p, err
		}
		p.crud, p.pool = best(results)
		p.journal = median(results[len(rivalPools)], perSec)
		return p, nil
	})
	if err != nil {
		return err
	}
	show := func(p pair) string {
		return fmt.Sprintf("%.0f x (%.0f / %.0f, pool %d)", p.journal/p.crud, p.journal, p.crud, p.pool)
	}
	t.row("hot key, 256 callers, over a row that is locked", show(fast), show(slow), ">= 10 x / >= 50 x",
		held(fast.journal >= 10*fast.crud, slow.journal >= 50*slow.crud))
	return nil
}

// row is what one would build without actors: the count of uses is a column of a row.
func (c *cluster) row(connections int) (_ *pgxpool.Pool, one func(int) error, err error) {
	pool, err := c.rival(connections, "temp_keys",
		"CREATE TABLE temp_keys (uuid uuid PRIMARY KEY, max_uses bigint, used_count bigint NOT NULL) WITH (fillfactor = 10)",
		"INSERT INTO temp_keys VALUES ('"+tempKey+"', NULL, 0)")
	return pool, func(int) error {
		var used int64
		return pool.QueryRow(background, `UPDATE temp_keys SET used_count = used_count + 1
			WHERE uuid = $1 AND (max_uses IS NULL OR used_count < max_uses) RETURNING used_count`, tempKey).Scan(&used)
	}, err
}

// rival makes a database and a pool of connections to it. Every transaction of the rival writes to the table.
func (c *cluster) rival(connections int, table string, statements ...string) (*pgxpool.Pool, error) {
	name, err := c.newDatabase()
	if err != nil {
		return nil, err
	}
	if c.slow {
		statements = append(statements, fmt.Sprintf(slowDisk, table))
	}
	if err := c.Exec(background, name, statements...); err != nil {
		return nil, err
	}
	config, err := pgxpool.ParseConfig(c.URL(name))
	if err != nil {
		return nil, err
	}
	config.MaxConns = int32(connections)
	return pgxpool.NewWithConfig(background, config)
}

// race lets a rival at each of the pool sizes, and last the journal, take turns with the same number of callers.
func (c *cluster) race(callers int, rival func(connections int) (*pgxpool.Pool, func(int) error, error),
	ours func(*postgres.Journal) func(int) error,
) (_ [][]result, err error) {
	var ones []func(int) error
	for _, connections := range rivalPools {
		pool, one, err := rival(connections)
		if err != nil {
			return nil, err
		}
		defer pool.Close()
		ones = append(ones, one)
	}
	_, all, err := c.journals(1)
	defer func() { err = errors.Join(err, closeAll(all)) }()
	if err != nil {
		return nil, err
	}
	return takeTurns(c.options, slices.Repeat([]int{callers}, len(ones)+1), append(ones, ours(all[0]))...)
}
