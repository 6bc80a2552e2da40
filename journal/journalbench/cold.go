package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/latchkey/latchkey/journal"
)

const (
	coldStream  = "lock/1"
	coldRecords = 1000
	fillAtOnce  = 500
)

// fill is the process that gets killed. It writes coldRecords records of one lock, spread evenly over those of many
// others, says when it has reached its number, and goes on.
func fill(path string, records int) error {
	j, err := openJournal(path)
	if err != nil {
		return err
	}
	others := max(1000, records/100)
	versions := make([]uint64, others+2)
	write := func(stream int) journal.Append {
		a := appendOf(fmt.Sprintf("lock/%d", stream), versions[stream], 1)
		versions[stream]++
		return a
	}
	window := make(chan struct{}, fillAtOnce)
	failed := make(chan error, 1)
	every := max(1, records/coldRecords)
	for i := 0; ; i++ {
		stream := 2 + i%others
		if i%every == 0 && versions[1] < coldRecords {
			stream = 1
		}
		if i == records+2*fillAtOnce { // at least so many are durable, and the snapshot is written
			fmt.Println("filled")
		}
		window <- struct{}{}
		j.Submit(write(stream), func(r journal.Result) {
			if r.Err != nil {
				select {
				case failed <- r.Err:
				default:
				}
			}
			<-window
		})
		if len(failed) > 0 {
			return <-failed
		}
		if versions[1] == coldRecords && stream == 1 {
			s := journal.Snapshot{Stream: coldStream, Version: coldRecords - 10, Codec: "bench", Data: make([]byte, 8<<10)}
			if err := j.SaveSnapshot(background, s); err != nil {
				return err
			}
		}
	}
}

func afterKill(o options, t *table) error {
	path := o.newFile()
	child := exec.CommandContext(background, os.Args[0], "-fill", path, "-records", fmt.Sprint(o.records))
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		return err
	}
	if err := child.Start(); err != nil {
		return err
	}
	if !bufio.NewScanner(out).Scan() {
		return errors.Join(errors.New("the filling process ended"), child.Wait())
	}
	if err := child.Process.Kill(); err != nil {
		return err
	}
	_ = child.Wait() // killed
	wal, err := os.Stat(path + "-wal")
	if err != nil {
		return err
	}
	start := time.Now()
	j, err := openJournal(path)
	if err != nil {
		return err
	}
	opened := time.Since(start)
	if err := j.Close(); err != nil {
		return err
	}
	t.row(fmt.Sprintf("open with %d records after kill -9 (WAL %d MiB)", o.records, wal.Size()>>20), ms(opened), "", "<= 1000 ms", held(opened <= time.Second))

	without, err := coldRead(path, func(j journal.Journal) (uint64, error) { return 0, nil })
	if err != nil {
		return err
	}
	with, err := coldRead(path, func(j journal.Journal) (uint64, error) {
		s, ok, err := j.LoadSnapshot(background, coldStream)
		if !ok && err == nil {
			err = errors.New("the snapshot is gone")
		}
		return s.Version, err
	})
	if err != nil {
		return err
	}
	t.row("one lock's 1,000 records, cold, without snapshot", ms(without), "", "", "")
	t.row("one lock's 1,000 records, cold, with snapshot", ms(with), "", "<= 10 ms", held(with <= 10*time.Millisecond))
	return nil
}

// coldRead opens the journal with none of its file in memory, and reads the records of a lock that load does not know.
func coldRead(path string, load func(journal.Journal) (after uint64, err error)) (time.Duration, error) {
	if err := forget(path); err != nil {
		return 0, err
	}
	j, err := openJournal(path)
	if err != nil {
		return 0, err
	}
	start := time.Now()
	after, err := load(j)
	if err != nil {
		return 0, errors.Join(err, j.Close())
	}
	for r, lost := range journal.All(background, j, coldStream, after) {
		if err = lost; err == nil {
			after = r.Version
		}
	}
	took := time.Since(start)
	if err = errors.Join(err, j.Close()); err != nil {
		return 0, err
	}
	if after != coldRecords {
		return 0, fmt.Errorf("%s has %d records", coldStream, after)
	}
	return took, nil
}

func ms(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d)/1e6) }
