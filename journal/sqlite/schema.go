package sqlite

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// applicationID marks the file as ours ("Ltch"), so that no other SQLite file is taken for a journal.
const applicationID = 0x4c746368

// oldestSQLite is the first release whose WAL cannot lose a committed transaction when a checkpoint resets it.
var oldestSQLite = []int{3, 51, 3}

// migrations bring an empty file to the newest schema, one step a version. PRAGMA user_version counts the steps that a
// file has. A few tables in one file that one process owns need no migration tool. The number also stands for the form of what is in
// the records: a release that adds to it adds a step, if only a comment, so that older programs refuse the file when they start.
//
// Records lie in the order of their positions, so that a batch fills pages one after the other. No index finds those of
// a stream: with many streams each append would write a leaf of it anew. Each record names the stream's record before
// it instead, see chain.go. streams.head is the position of a stream's last record as of heads_known.position, see
// tail.go. Streams have short numbers of their own because each record carries its stream.
var migrations = []string{
	`CREATE TABLE streams (
		id   INTEGER PRIMARY KEY,
		name TEXT NOT NULL UNIQUE
	) STRICT;
	CREATE TABLE records (
		position  INTEGER PRIMARY KEY,
		stream    INTEGER NOT NULL,
		version   INTEGER NOT NULL,
		type      TEXT    NOT NULL,
		time      INTEGER NOT NULL, -- Unix milliseconds
		append_id TEXT    NOT NULL,
		data      BLOB    NOT NULL
	) STRICT;
	CREATE UNIQUE INDEX records_by_stream ON records (stream, version);
	CREATE TABLE claims (
		kind   TEXT    NOT NULL,
		key    TEXT    NOT NULL,
		stream INTEGER NOT NULL,
		PRIMARY KEY (kind, key)
	) STRICT, WITHOUT ROWID;
	CREATE TABLE entries (
		kind   TEXT    NOT NULL,
		key    TEXT    NOT NULL,
		ref    TEXT    NOT NULL,
		stream INTEGER NOT NULL,
		PRIMARY KEY (kind, key, ref)
	) STRICT, WITHOUT ROWID;
	CREATE TABLE snapshots (
		stream  INTEGER PRIMARY KEY,
		version INTEGER NOT NULL,
		codec   TEXT    NOT NULL,
		data    BLOB    NOT NULL
	) STRICT;
	-- For people who look at the journal with the sqlite3 shell.
	CREATE VIEW log AS
		SELECT r.position, s.name AS stream, r.version, r.type,
			strftime('%Y-%m-%dT%H:%M:%fZ', r.time / 1000.0, 'unixepoch') AS time,
			r.append_id, CAST(r.data AS TEXT) AS data
		FROM records r JOIN streams s ON s.id = r.stream;`,
	// The small columns come before the data, which may lie on pages of its own that a walk along a stream need not read.
	`CREATE TABLE chained (
		position  INTEGER PRIMARY KEY,
		stream    INTEGER NOT NULL,
		version   INTEGER NOT NULL,
		previous  INTEGER NOT NULL, -- position of the stream's record before, or 0
		milestone INTEGER NOT NULL, -- position of the last one before whose version is a multiple of 256, or 0
		type      TEXT    NOT NULL,
		time      INTEGER NOT NULL, -- Unix milliseconds
		append_id TEXT    NOT NULL,
		data      BLOB    NOT NULL
	) STRICT;
	INSERT INTO chained SELECT r.position, r.stream, r.version,
		coalesce((SELECT p.position FROM records p WHERE p.stream = r.stream AND p.version = r.version - 1), 0),
		coalesce((SELECT m.position FROM records m WHERE m.stream = r.stream AND m.version = (r.version - 1) / 256 * 256), 0),
		r.type, r.time, r.append_id, r.data
		FROM records r ORDER BY r.position;
	ALTER TABLE streams ADD COLUMN head INTEGER NOT NULL DEFAULT 0;
	UPDATE streams SET head = (SELECT r.position FROM records r WHERE r.stream = id ORDER BY r.version DESC LIMIT 1);
	CREATE TABLE heads_known (position INTEGER NOT NULL) STRICT;
	INSERT INTO heads_known SELECT coalesce(max(position), 0) FROM records;
	DROP VIEW log;
	DROP TABLE records;
	ALTER TABLE chained RENAME TO records;
	CREATE VIEW log AS
		SELECT r.position, s.name AS stream, r.version, r.type,
			strftime('%Y-%m-%dT%H:%M:%fZ', r.time / 1000.0, 'unixepoch') AS time,
			r.append_id, CAST(r.data AS TEXT) AS data
		FROM records r JOIN streams s ON s.id = r.stream;`,
	// The tables stay as they are. Programs that know two steps drop the fields of records which they do not know, and write
	// snapshots without them: they must not run here any more, and nobody takes their snapshots.
	`DELETE FROM snapshots WHERE codec = 'lock-state-1';`,
}

// connect opens a connection with its own page cache of at most cacheKiB.
func connect(path string, cacheKiB int) (*sqlite.Conn, error) {
	uri := url.URL{Scheme: "file", OmitHost: true, Path: path}
	conn, err := sqlite.OpenConn(uri.String(), sqlite.OpenReadWrite|sqlite.OpenURI)
	if err != nil {
		return nil, err
	}
	conn.SetBusyTimeout(busyTimeout)
	for _, pragma := range []string{
		fmt.Sprint("PRAGMA cache_size = -", cacheKiB),
		fmt.Sprint("PRAGMA journal_size_limit = ", maxWALPages*pageSize), // a WAL that had to grow gives the space back
		"PRAGMA synchronous = FULL",                                      // every commit is fsynced
		"PRAGMA wal_autocheckpoint = 0",                                  // the checkpointer decides
		"PRAGMA trusted_schema = OFF",
	} {
		if err := sqlitex.ExecuteTransient(conn, pragma, nil); err != nil {
			return nil, closeAfter(conn, err)
		}
	}
	return conn, nil
}

func closeAfter(conn *sqlite.Conn, err error) error {
	_ = conn.Close() // the first error says what is wrong
	return err
}

// prepareFile makes the file a journal of the newest schema, in WAL mode.
func prepareFile(conn *sqlite.Conn) error {
	version, err := queryText(conn, "SELECT sqlite_version()")
	if err != nil {
		return err
	}
	if !atLeast(version, oldestSQLite) {
		return fmt.Errorf("SQLite %s is too old, %v or later is needed", version, oldestSQLite)
	}
	mode, err := queryText(conn, "PRAGMA journal_mode = WAL")
	if err != nil {
		return err
	}
	if mode != "wal" {
		return fmt.Errorf("the file system does not allow WAL mode (it stays %q)", mode)
	}
	return migrate(conn)
}

func migrate(conn *sqlite.Conn) error {
	app, err := queryNumber(conn, "PRAGMA application_id")
	if err != nil {
		return err
	}
	at, err := queryNumber(conn, "PRAGMA user_version")
	if err != nil {
		return err
	}
	tables, err := queryNumber(conn, "SELECT count(*) FROM sqlite_schema")
	if err != nil {
		return err
	}
	switch {
	case app != applicationID && (app != 0 || tables != 0):
		return fmt.Errorf("this SQLite file is not a journal (application ID %#x)", app)
	case int(at) > len(migrations):
		return fmt.Errorf("schema %d is newer than this program, which knows %d", at, len(migrations))
	}
	for ; int(at) < len(migrations); at++ {
		step := fmt.Sprintf("%s; PRAGMA application_id = %d; PRAGMA user_version = %d;", migrations[at], applicationID, at+1)
		if err := sqlitex.ExecuteScript(conn, step, nil); err != nil { // in a transaction of its own
			return fmt.Errorf("migration %d: %w", at+1, err)
		}
	}
	return nil
}

// queryText returns the one value of a query.
func queryText(conn *sqlite.Conn, query string) (result string, err error) {
	err = sqlitex.ExecuteTransient(conn, query, &sqlitex.ExecOptions{ResultFunc: func(stmt *sqlite.Stmt) error {
		result = stmt.ColumnText(0)
		return nil
	}})
	return result, err
}

func queryNumber(conn *sqlite.Conn, query string) (int64, error) {
	result, err := queryText(conn, query)
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(result, 10, 64)
}

// atLeast compares a version like 3.51.3 with the oldest that will do.
func atLeast(version string, oldest []int) bool {
	for i, part := range strings.Split(version, ".") {
		n, err := strconv.Atoi(part)
		if err != nil || i >= len(oldest) || n != oldest[i] {
			return err == nil && (i >= len(oldest) || n > oldest[i])
		}
	}
	return true
}
