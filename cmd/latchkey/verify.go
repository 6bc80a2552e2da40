package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/latchkey/latchkey/internal/app"
	"github.com/latchkey/latchkey/internal/config"
	"github.com/latchkey/latchkey/internal/verify"
)

type verifyCommand struct {
	DataDir    string `env:"LATCHKEY_DATA_DIR" default:"./latchkey-data" placeholder:"DIR" help:"Folder of the journal (${default})."`
	JournalURL string `name:"journal-url" env:"LATCHKEY_JOURNAL_URL" placeholder:"URL" help:"Where the journal is, as the server has it: sqlite:PATH (default: journal.db in the data folder), or postgres://USER@HOST/DATABASE."`
	Limit      int    `default:"1000" placeholder:"N" help:"Findings to print at most; all are counted (${default})."`

	LogLevel  string `env:"LATCHKEY_LOG_LEVEL" enum:"debug,info,warn,error" default:"warn" placeholder:"LEVEL" help:"Least level that is logged: ${enum} (${default})."`
	LogFormat string `env:"LATCHKEY_LOG_FORMAT" enum:"text,json" default:"text" placeholder:"FORMAT" help:"Form of the log: ${enum} (${default})."`
}

// Help says what is checked, and when that can be done.
func (*verifyCommand) Help() string {
	return `Reads all records, checks that versions and positions have no gap, replays every lock, and compares the result with the heads, the claims, the entries and the snapshots that are kept beside the records. What is wrong is printed, and makes the command fail, and so does a file without any record.

A journal in PostgreSQL may be in use meanwhile. One in SQLite belongs to the server that runs: stop it first, or check a copy.`
}

// Run checks the journal.
func (c *verifyCommand) Run(ctx context.Context, out terminal) (err error) {
	_, path, err := config.JournalAt(c.JournalURL, c.DataDir)
	if err != nil {
		return err
	}
	j, err := app.OpenJournal(ctx, app.JournalOptions{
		URL: c.JournalURL, DataDir: c.DataDir, Existing: true, Logger: newLogger(os.Stderr, c.LogLevel, c.LogFormat),
	})
	if err != nil {
		return err
	}
	defer func() {
		if closed := j.Close(); !errors.Is(err, closed) { // a journal that has failed says so again
			err = errors.Join(err, closed)
		}
	}()
	printed := 0
	summary, err := verify.Check(ctx, j, func(f verify.Finding) {
		if printed++; printed <= c.Limit {
			fmt.Fprintln(out, f)
		}
	})
	if err != nil {
		return err
	}
	if printed > c.Limit {
		fmt.Fprintf(out, "... and %d more\n", printed-c.Limit)
	}
	if summary.Findings > 0 {
		return fmt.Errorf("%d things are wrong in %s", summary.Findings, summary)
	}
	if summary.Records == 0 {
		return nothing(out, path)
	}
	_, err = fmt.Fprintf(out, "All is well: %s.\n", summary)
	return err
}

// nothing tells of a journal without records. In a file that is never a server's, since the first thing that one does is to store
// which key guards the PINs; servers that share a journal do so only when they are given a key, so theirs may be new.
func nothing(out terminal, path string) error {
	if path != "" {
		return fmt.Errorf("there is nothing in %s: it has 0 records, and a server that has run has left some. Perhaps it was copied without its %s-wal: "+
			"docs/operations.md says under Backups how to make a copy", path, filepath.Base(path))
	}
	_, err := fmt.Fprintln(out, "There is nothing to check: 0 records. Servers that are new have none; if yours are not, this is another database than theirs.")
	return err
}
