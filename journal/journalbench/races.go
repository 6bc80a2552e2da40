package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"

	"github.com/jackc/pgx/v5"

	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/journal/postgres"
)

const (
	racingNodes   = 3
	racingCallers = 32 // of each node
	sharedStreams = 10
)

// races lets the writers of three nodes race for the same streams, while each caller also has a stream of its own and a
// reader follows the positions. Nothing may be lost, no stream broken, and no append failed by another's conflict.
func races(c *cluster, t *table) error {
	name, nodes, err := c.journals(racingNodes)
	if err != nil {
		return errors.Join(err, closeAll(nodes))
	}
	defer func() { err = errors.Join(err, closeAll(nodes)) }()
	stop, read := make(chan struct{}), make(chan error, 1)
	var followed followed
	go func() { read <- followed.follow(c.URL(name), stop) }()

	var conflicts, others, stored atomic.Int64
	versions := make([]uint64, racingNodes*racingCallers)
	_, failed := drive(len(versions), c.round, func(caller int) error {
		j := nodes[caller%racingNodes]
		if err := wait(j, appendOf(fmt.Sprint("own/", caller), versions[caller], 1)); errors.Is(err, journal.ErrConflict) {
			others.Add(1)
		} else if err != nil {
			return err
		} else {
			versions[caller]++
			stored.Add(1)
		}
		stream := fmt.Sprint("shared/", rand.IntN(sharedStreams))
		head, _, err := j.Head(background, stream)
		if err != nil {
			return err
		}
		switch err := wait(j, appendOf(stream, head, 1)); {
		case err == nil:
			stored.Add(1)
		case errors.Is(err, journal.ErrConflict):
			conflicts.Add(1)
		default:
			return err
		}
		return nil
	})
	close(stop)
	if err := errors.Join(failed, <-read); err != nil {
		return err
	}
	broken, err := brokenStreams(nodes[0])
	if err != nil {
		return err
	}
	lost := stored.Load() - followed.records
	t.row(fmt.Sprintf("3 nodes race: %d records, %d conflicts", stored.Load(), conflicts.Load()),
		fmt.Sprintf("%d lost, %d gaps", lost, followed.gaps), fmt.Sprintf("%d broken, %d failed", broken, others.Load()), "0",
		held(lost == 0, followed.gaps == 0, broken == 0, others.Load() == 0))
	return nil
}

// followed is what a reader saw that asks again and again for what is after the last position that it knows.
type followed struct{ records, gaps int64 }

func (f *followed) follow(url string, stop chan struct{}) (err error) {
	conn, err := pgx.Connect(background, url)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(background)) }()
	var last int64
	for over := false; ; {
		rows, _ := conn.Query(background, "SELECT position FROM records WHERE position > $1 ORDER BY position", last)
		positions, err := pgx.CollectRows(rows, pgx.RowTo[int64])
		if err != nil {
			return err
		}
		for _, p := range positions {
			if p != last+1 {
				f.gaps++
			}
			f.records, last = f.records+1, p
		}
		if over && len(positions) == 0 {
			return nil
		}
		select {
		case <-stop:
			over = true
		default:
		}
	}
}

// brokenStreams counts the streams whose versions have a gap.
func brokenStreams(j *postgres.Journal) (int, error) {
	versions, broken := map[string]uint64{}, map[string]bool{}
	var after uint64
	for {
		records, err := j.ReadAll(background, after, 1000)
		if err != nil || len(records) == 0 {
			return len(broken), err
		}
		for _, r := range records {
			if versions[r.Stream]++; versions[r.Stream] != r.Version {
				broken[r.Stream] = true
			}
			after = r.Position
		}
	}
}
