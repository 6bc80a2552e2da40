package postgres

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Where PostgreSQL waits for a standby (synchronous_standby_names), a commit that everybody sees may still be on this server
// alone: a wait that is ended early, by a cancel request, as pgx sends one with a connection that it gives up, by an
// operator, or by a restart, leaves it here, and a failover to the standby undoes it. Nobody may be told of it as if it were
// durable. So what was seen is covered before it is told: a commit that is made after the look, and that PostgreSQL confirms,
// is behind all that the look has seen in the WAL, and the standby has what is before it. Appends that are stored are such
// commits themselves. Only what is newer than the last one, or whose age is not known, needs one of its own.

// coverStatement is that commit, when there is a standby to wait for: a message in the WAL that nobody reads (a transaction that
// leaves nothing in the WAL would not wait). It returns the position that is covered at least.
const coverStatement = `SELECT coalesce(max(position), 0), CASE WHEN current_setting('synchronous_standby_names') <> ''
	THEN pg_logical_emit_message(true, 'latchkey', '') IS NOT NULL ELSE false END FROM records`

const (
	// coverTimeout bounds the wait for the standby; whoever waits for it would rather hear that nothing is certain.
	coverTimeout = 5 * time.Second
	// anything is for a look whose newest position is not known.
	anything = math.MaxUint64
)

var (
	// errUnconfirmed is an answer that came although the standby had not confirmed the commit.
	errUnconfirmed = errors.New("PostgreSQL committed without its standby")
	// errNoAnswer says what may be behind a silence, because PostgreSQL says nothing of a commit that waits.
	errNoAnswer = errors.New("PostgreSQL does not answer in time; if it waits for a synchronous standby (wait event SyncRep in " +
		"pg_stat_activity), bring the standby back, or take it out of synchronous_standby_names")
)

// covered is up to which position all records are where PostgreSQL was told to have them.
type covered struct{ position atomic.Uint64 }

func (c *covered) raise(position uint64) {
	for before := c.position.Load(); before < position && !c.position.CompareAndSwap(before, position); before = c.position.Load() {
	}
}

type coverage struct {
	Position int64
	Waited   bool
}

// cover returns nil when what was seen, up to a position, is no more to be lost than what was answered to an append.
func (j *Journal) cover(ctx context.Context, position uint64) error {
	if position <= j.covered.position.Load() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, coverTimeout)
	defer cancel()
	c, _, err := one(query(ctx, j, pgx.RowToStructByPos[coverage], coverStatement))
	if err != nil {
		return hinted(ctx, err)
	}
	j.covered.raise(uint64(c.Position))
	return nil
}

// hinted adds to an error of a statement what an operator should look at when PostgreSQL kept silent.
func hinted(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("%w: %w", errNoAnswer, err)
	}
	return err
}

// warning is where a connection keeps the last warning of the server. Among the statements of this package only a commit
// without its standby leads to one.
const warning = "latchkey warning"

func keepWarning(conn *pgconn.PgConn, notice *pgconn.Notice) {
	if notice.SeverityUnlocalized == "WARNING" {
		conn.CustomData()[warning] = notice.Message
	}
}

// confirmed runs a statement to its end, and returns errUnconfirmed when it was committed without the standby.
func confirmed(conn *pgx.Conn, statement func() error) error {
	kept := conn.PgConn().CustomData()
	delete(kept, warning) // of the start of the connection
	if err := statement(); err != nil {
		return err
	}
	if message, ok := kept[warning]; ok {
		return fmt.Errorf("%w: %s", errUnconfirmed, message)
	}
	return nil
}
