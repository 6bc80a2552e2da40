// Command journalbench prints the figures that the engines of the journal are held to, beside what they must reach.
// Everything is measured in one run on one disk, each figure next to what it is compared with, in rounds that take
// turns. A disk whose fsync takes 1 ms is made by delaying everybody alike: the sync of SQLite (in its VFS), of the bare
// log and of the probe that measures F; and the commit of each transaction of PostgreSQL (by a trigger).
//
//	F     the p50 of fdatasync after a small write to a file that is laid out
//	W     a log with the same group commit and fdatasync, but without any index
//	CRUD  a row that is locked and counted up by UPDATE ... RETURNING, at the pool size that is best for it
package main

import (
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/latchkey/latchkey/journal/internal/diskfault"
)

type options struct {
	dir     string
	round   time.Duration
	rounds  int
	records int
}

func main() {
	var o options
	flag.StringVar(&o.dir, "dir", os.TempDir(), "folder on the disk to measure; a new one is made in it and removed")
	flag.DurationVar(&o.round, "round", time.Second, "length of one round")
	flag.IntVar(&o.rounds, "rounds", 3, "rounds of each measurement; their median counts")
	flag.IntVar(&o.records, "records", 200_000, "records in the journal that is opened after a kill -9")
	engine := flag.String("engine", "all", "sqlite, postgres (which needs its server's programs on this machine) or all")
	child := flag.String("fill", "", "for the benchmark's own use: fill the journal at this path until killed")
	flag.Parse()
	slog.SetLogLoggerLevel(slog.LevelWarn)
	if *child != "" {
		exit(fill(*child, o.records))
		return
	}
	dir, err := os.MkdirTemp(o.dir, "journalbench-")
	if err != nil {
		exit(err)
		return
	}
	o.dir = dir
	err = run(o, *engine)
	if removed := os.RemoveAll(dir); err == nil {
		err = removed
	}
	exit(err)
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "journalbench:", err)
		os.Exit(1)
	}
}

func run(o options, engine string) error {
	t := &table{tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)}
	defer t.Flush()
	var errs []error
	if engine != "postgres" {
		errs = append(errs, runSQLite(o, t))
	}
	if engine != "sqlite" {
		errs = append(errs, runPostgres(o, t))
	}
	return errors.Join(errs...)
}

// runSQLite prints the figures of the SQLite engine.
func runSQLite(o options, t *table) error {
	diskfault.Install()
	t.row("SQLite journal", "fast disk", "1 ms fsync", "require", "")
	t.row("--------------", "---------", "----------", "-------", "")
	for _, measure := range []func(options, *table) error{
		probes, oneAppender, manyAppenders, bytesOnDisk, hotKey, cpuOfAnOpen, afterKill,
	} {
		if err := measure(o, t); err != nil {
			return err
		}
		t.Flush()
	}
	return nil
}

// table collects the rows; each is aligned with those of its block.
type table struct{ *tabwriter.Writer }

func (t *table) row(what, fast, slow, require, verdict string) {
	fmt.Fprintf(t, "%-58s\t%-22s\t%-22s\t%-22s\t%s\n", what, fast, slow, require, verdict)
}

// held says whether every requirement is held.
func held(all ...bool) string {
	for _, ok := range all {
		if !ok {
			return "MISSED"
		}
	}
	return "ok"
}

// disks runs a measurement on the disk as it is, and on one whose fsync takes 1 ms.
func disks[T any](measure func() (T, error)) (fast, slow T, err error) {
	defer diskfault.Slow(0)
	if fast, err = measure(); err != nil {
		return fast, slow, err
	}
	diskfault.Slow(time.Millisecond)
	slow, err = measure()
	return fast, slow, err
}

var fileNumber int

// newFile names a file that does not exist yet.
func (o options) newFile() string {
	fileNumber++
	return filepath.Join(o.dir, fmt.Sprintf("%d.db", fileNumber))
}
