package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	sqliteconn "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/latchkey/latchkey/journal/sqlite"
	"github.com/latchkey/latchkey/lock"
	"github.com/latchkey/latchkey/tenant"
)

// A backup has to end while the server stores one thing after the other, and a restored one has to be whole. These are the commands
// that operators are told, and verify is run as they are told to.
func TestTheDocumentedBackupEndsUnderLoad(t *testing.T) {
	t.Parallel()
	data, backups := t.TempDir(), t.TempDir()
	j, err := sqlite.Open(sqlite.Options{Path: filepath.Join(data, "journal.db")})
	require.NoError(t, err)
	keys, err := tenant.New(tenant.Options{Journal: j})
	require.NoError(t, err)
	created := 0
	create := func() {
		_, _, err := keys.Create(t.Context(), lock.Caller{Super: true}, lock.OrgID(fmt.Sprint("org-", created)), tenant.NewKey{})
		require.NoError(t, err)
		created++
	}
	create()
	heavy, err := sqliteconn.OpenConn(filepath.Join(data, "journal.db"), sqliteconn.OpenReadWrite)
	require.NoError(t, err)
	require.NoError(t, sqlitex.ExecuteScript(heavy, "CREATE TABLE ballast (b); INSERT INTO ballast VALUES (zeroblob(64 << 20))", nil),
		"so that a copy takes longer than an append")
	require.NoError(t, heavy.Close())
	before := created

	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	copied := make(chan string, 1)
	go func() { copied <- documentedBackup(ctx, t, data, backups) }()
	for said := (*string)(nil); said == nil; {
		create()
		select {
		case s := <-copied:
			said = &s
			require.Empty(t, s)
		default:
		}
	}
	require.NoError(t, ctx.Err(), "the copy never ends")
	require.NoError(t, j.Close())
	t.Logf("%d appends during the backup", created-before)

	copies, err := filepath.Glob(filepath.Join(backups, "*"))
	require.NoError(t, err)
	require.Len(t, copies, 1, "no -wal belongs to it")
	info, err := os.Stat(copies[0])
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode())
	said, err := verified(t, verifyCommand{JournalURL: "sqlite:" + copies[0]})
	require.NoError(t, err, said)

	restored := t.TempDir()
	require.NoError(t, os.Rename(copies[0], filepath.Join(restored, "journal.db")))
	said, err = verified(t, verifyCommand{DataDir: restored})
	require.NoError(t, err, said)
	var records int
	_, err = fmt.Sscanf(said, "All is well: %d records", &records)
	require.NoError(t, err, said)
	require.GreaterOrEqual(t, records, before)
	require.LessOrEqual(t, records, created)
}

// documentedBackup runs the commands of docs/operations.md, but for verify, and returns what they say.
func documentedBackup(ctx context.Context, t *testing.T, data, backups string) string {
	page, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		return err.Error()
	}
	commands := regexp.MustCompile("(?s)```sh\n(umask 077\n.*?sqlite3 .*?)latchkey verify").FindSubmatch(page)
	if commands == nil {
		return "there is no backup in the documentation"
	}
	sh := exec.CommandContext(ctx, "sh", "-e", "-c", strings.NewReplacer("/var/lib/latchkey", data, "/backup", backups).Replace("exec 2>&1; "+string(commands[1])))
	sh.WaitDelay = time.Second // for its children
	out, err := sh.CombinedOutput()
	if err != nil {
		return fmt.Sprintf("%v: %s", err, out)
	}
	return string(out)
}
