package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/journal/internal/diskfault"
)

// fdatasync measures F.
func fdatasync(o options) (time.Duration, error) {
	file, err := os.Create(o.newFile())
	if err != nil {
		return 0, err
	}
	defer file.Close()
	if _, err := file.Write(make([]byte, 4<<20)); err != nil {
		return 0, err
	}
	if err := file.Sync(); err != nil {
		return 0, err
	}
	var took []time.Duration
	for i, start := int64(0), time.Now(); time.Since(start) < o.round; i++ {
		if _, err := file.WriteAt(payload, i%1000*4096); err != nil {
			return 0, err
		}
		before := time.Now()
		if err := diskfault.Sync(file); err != nil {
			return 0, err
		}
		took = append(took, time.Since(before))
	}
	slices.Sort(took)
	return took[len(took)/2], nil
}

func probes(o options, t *table) error {
	fast, slow, err := disks(func() (time.Duration, error) { return fdatasync(o) })
	if err != nil {
		return err
	}
	t.row("F, p50 of fdatasync", us(fast), us(slow), "", "")
	return nil
}

func us(d time.Duration) string { return fmt.Sprintf("%.0f us", float64(d)/1e3) }

func oneAppender(o options, t *table) error {
	type pair struct{ sqlite, log float64 }
	fast, slow, err := disks(func() (p pair, err error) {
		j, err := openJournal(o.newFile())
		if err != nil {
			return p, err
		}
		w, err := openBareLog(o.newFile())
		if err != nil {
			return p, errors.Join(err, j.Close())
		}
		results, err := takeTurns(o, []int{1, 1}, newAppenders(j, 1).one, newAppenders(w, 1).one)
		if err = errors.Join(err, j.Close(), w.Close()); err != nil {
			return p, err
		}
		return pair{median(results[0], perSec), median(results[1], perSec)}, nil
	})
	if err != nil {
		return err
	}
	show := func(p pair) string { return fmt.Sprintf("%.2f (%.0f / %.0f)", p.sqlite/p.log, p.sqlite, p.log) }
	t.row("1 appender, appends/s over W", show(fast), show(slow), ">= 0.35 / >= 0.7",
		held(fast.sqlite/fast.log >= 0.35, slow.sqlite/slow.log >= 0.7))
	return nil
}

func manyAppenders(o options, t *table) error {
	type three struct {
		one, many float64
		p50       time.Duration
		f         time.Duration
	}
	fast, slow, err := disks(func() (r three, err error) {
		if r.f, err = fdatasync(o); err != nil {
			return r, err
		}
		j, err := openJournal(o.newFile())
		if err != nil {
			return r, err
		}
		all := newAppenders(j, 256)
		results, err := takeTurns(o, []int{1, 16, 256}, all.one, all.one, all.one)
		if err = errors.Join(err, j.Close()); err != nil {
			return r, err
		}
		r.one, r.many = median(results[0], perSec), median(results[2], perSec)
		r.p50 = time.Duration(median(results[1], p50))
		return r, nil
	})
	if err != nil {
		return err
	}
	inF := func(r three) string { return fmt.Sprintf("%.1f F (%s)", float64(r.p50)/float64(r.f), us(r.p50)) }
	t.row("16 appenders, p50", inF(fast), inF(slow), "- / <= 4 F", held(float64(slow.p50) <= 4*float64(slow.f)))
	over := func(r three) string { return fmt.Sprintf("%.1f x (%.0f/s)", r.many/r.one, r.many) }
	t.row("256 appenders over 1 appender, appends/s", over(fast), over(slow), "- / >= 15 x", held(slow.many/slow.one >= 15))
	return nil
}

func bytesOnDisk(o options, t *table) error {
	path := o.newFile()
	j, err := openJournal(path)
	if err != nil {
		return err
	}
	records, given, err := fillStreams(j)
	if err = errors.Join(err, j.Close()); err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	ratio := float64(info.Size()) / float64(given)
	t.row(fmt.Sprintf("disk bytes over payload bytes, %d records", records), fmt.Sprintf("%.2f", ratio), "", "<= 1.6", held(ratio <= 1.6))
	return nil
}

// fillStreams appends the records of many opens, and returns how many there are and their bytes.
func fillStreams(to submitter) (records int, given int64, err error) {
	const streams, rounds = 1000, 60
	for i := range rounds {
		if err := eachStream(to, streams, func(stream string) journal.Append {
			a := appendOf(stream, uint64(i)*2, 2)
			given += sizeOf(a)
			return a
		}); err != nil {
			return 0, 0, err
		}
	}
	return streams * rounds * 2, given, nil
}

// eachStream appends once to each of the streams lock/1 ... at once, and waits for all.
func eachStream(to submitter, streams int, a func(stream string) journal.Append) error {
	answers := make(chan error, streams)
	for s := range streams {
		to.Submit(a(fmt.Sprintf("lock/%d", s+1)), func(r journal.Result) { answers <- r.Err })
	}
	var errs []error
	for range streams {
		errs = append(errs, <-answers)
	}
	return errors.Join(errs...)
}

const hotCallers = 256

func hotKey(o options, t *table) error {
	type pair struct {
		journal, crud float64
		pool          int
	}
	fast, slow, err := disks(func() (p pair, err error) {
		var pools []*crud
		sizes := []int{1, 2, 4, 8, 16}
		ones := make([]func(int) error, 0, len(sizes)+1)
		for _, size := range sizes {
			c, err := openCRUD(o.newFile(), size)
			if err != nil {
				return p, err
			}
			defer c.db.Close()
			pools = append(pools, c)
			ones = append(ones, c.one)
		}
		j, err := openJournal(o.newFile())
		if err != nil {
			return p, err
		}
		callers := slices.Repeat([]int{hotCallers}, len(pools)+1)
		results, err := takeTurns(o, callers, append(ones, (&hot{to: j}).one)...)
		if err = errors.Join(err, j.Close()); err != nil {
			return p, err
		}
		for i, size := range sizes {
			if rate := median(results[i], perSec); rate > p.crud {
				p.crud, p.pool = rate, size
			}
		}
		p.journal = median(results[len(pools)], perSec)
		return p, nil
	})
	if err != nil {
		return err
	}
	show := func(p pair) string {
		return fmt.Sprintf("%.0f x (%.0f / %.0f, pool %d)", p.journal/p.crud, p.journal, p.crud, p.pool)
	}
	t.row("hot key, 256 callers, over CRUD", show(fast), show(slow), ">= 10 x / >= 50 x",
		held(fast.journal/fast.crud >= 10, slow.journal/slow.crud >= 50))
	return nil
}

// cpuOfAnOpen measures what the journal takes of the CPU for a durable open: two records, and one more at its end.
func cpuOfAnOpen(o options, t *table) error {
	const callers = 256
	fast, slow, err := disks(func() (time.Duration, error) {
		j, err := openJournal(o.newFile())
		if err != nil {
			return 0, err
		}
		versions := make([]uint64, callers)
		results, err := takeTurns(o, []int{callers}, func(caller int) error {
			stream := fmt.Sprintf("lock/%d", caller+1)
			for _, n := range []int{2, 1} {
				if err := wait(j, appendOf(stream, versions[caller], n)); err != nil {
					return err
				}
				versions[caller] += uint64(n)
			}
			return nil
		})
		if err = errors.Join(err, j.Close()); err != nil {
			return 0, err
		}
		return time.Duration(median(results[0], func(r result) float64 { return float64(r.cpu) })), nil
	})
	if err != nil {
		return err
	}
	t.row("CPU of an open's 2 appends (3 records), 256 callers", us(fast), us(slow), "", "")
	return nil
}
