package postgres

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/latchkey/latchkey/internal/planted"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrationLock keeps the nodes that start together from migrating at the same time ("Ltch" in ASCII).
const migrationLock = 0x4c746368

// The lock is asked for every second, for five minutes at most. (Its own default is every five seconds, which all nodes but one
// would wait at the first start of a cluster.)
const (
	lockEvery    = 1 // s
	lockAttempts = 300
)

var errNoJournal = errors.New("there is no journal in this database")

// opened is what is known of a journal when its tables are there.
type opened struct {
	id       string // see ID
	position int64  // of the last record
	server   string // the address of the one that answered
}

// migrate brings the tables to the version that this program knows, and looks at them. A database that has it already is only
// read. One that has none is an error if there has to be an existing journal.
func migrate(ctx context.Context, c *pgx.ConnConfig, existing bool) (o opened, err error) {
	c = c.Copy()
	c.RuntimeParams["statement_timeout"] = "0" // a large table takes its time
	db := stdlib.OpenDB(*c)
	defer func() { err = errors.Join(err, db.Close()) }()
	if existing {
		var there bool
		if err := db.QueryRowContext(ctx, "SELECT to_regclass('records') IS NOT NULL").Scan(&there); err != nil {
			return o, err
		}
		if !there {
			return o, errNoJournal
		}
	}
	folder, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return o, err
	}
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockID(migrationLock), lock.WithLockTimeout(lockEvery, lockAttempts))
	if err != nil {
		return o, err
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, db, folder,
		goose.WithSessionLocker(locker), goose.WithDisableGlobalRegistry(true), goose.WithTableName("latchkey_schema"))
	if err != nil {
		return o, err
	}
	if _, err := provider.Up(ctx); err != nil {
		return o, fmt.Errorf("migrate: %w", err)
	}
	if planted.Has(planted.PositionsWithoutOrder) {
		if _, err := db.ExecContext(ctx, "CREATE SEQUENCE IF NOT EXISTS planted"); err != nil {
			return o, err
		}
	}
	has, knows, err := provider.GetVersions(ctx)
	if err != nil {
		return o, err
	}
	if has > knows {
		return o, fmt.Errorf("schema %d is newer than this program, which knows %d", has, knows)
	}
	err = db.QueryRowContext(ctx, `SELECT id, coalesce((SELECT max(position) FROM records), 0), coalesce(host(inet_server_addr()), 'local')
		FROM journal`).Scan(&o.id, &o.position, &o.server)
	return o, err
}
