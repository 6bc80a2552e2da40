package journaltest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/journal"
)

func (s *suite) readAllRace() {
	const writers, each = 8, 150
	var wrote sync.WaitGroup
	for w := range writers {
		wrote.Go(func() {
			stream := fmt.Sprint("stream ", w)
			for version := uint64(0); version < each; version += 2 {
				if _, err := journal.Do(s.ctx(), s.Journal, event(stream, version, 2)); err != nil {
					s.Error(err)
					return
				}
				if _, err := journal.Do(s.ctx(), s.Journal, event(stream, version, 1)); !errors.Is(err, journal.ErrConflict) {
					s.Errorf("want a conflict, got %v", err)
					return
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { wrote.Wait(); close(done) }()

	var read uint64
	for finished := false; ; {
		records, err := s.ReadAll(s.ctx(), read, 1+rand.IntN(50))
		require.NoError(s, err)
		for _, r := range records {
			read++
			require.Equal(s, read, r.Position, "the reader missed a record")
		}
		if len(records) > 0 {
			continue
		}
		if finished {
			break
		}
		select { // look once more after the last write
		case <-done:
			finished = true
		case <-time.After(time.Millisecond):
		}
	}
	require.Equal(s, uint64(writers*each), read)
}

func (s *suite) readRace() {
	const streams, length = 8, 400
	var wg sync.WaitGroup
	for i := range streams {
		stream := fmt.Sprint("stream ", i)
		var answered atomic.Uint64
		wg.Go(func() {
			for version := uint64(0); version < length; version += 4 {
				if _, err := journal.Do(s.ctx(), s.Journal, event(stream, version, 4)); err != nil {
					s.Error(err)
					return
				}
				answered.Store(version + 4)
			}
		})
		wg.Go(func() {
			for seen := uint64(0); seen < length && !s.Failed(); {
				due := answered.Load()
				version, _, err := s.Head(s.ctx(), stream)
				if err != nil || version < due {
					s.Errorf("the head of %s is %d, and %d was answered: %v", stream, version, due, err)
					return
				}
				records, err := s.Read(s.ctx(), stream, seen, 1+rand.IntN(20))
				if err != nil || len(records) == 0 && seen < version {
					s.Errorf("%s is at %d, and nothing comes after %d: %v", stream, version, seen, err)
					return
				}
				for _, r := range records {
					if seen++; r.Version != seen {
						s.Errorf("%s: want version %d, got %d", stream, seen, r.Version)
						return
					}
				}
			}
		})
	}
	wg.Wait()
}

func (s *suite) racingWriters() {
	const writers, streams, attempts = 16, 5, 60
	var succeeded atomic.Int64
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range attempts {
				stream := fmt.Sprint("stream ", (w+i)%streams)
				version, _, err := s.Head(s.ctx(), stream)
				if err != nil {
					s.Error(err)
					return
				}
				switch _, err := journal.Do(s.ctx(), s.Journal, event(stream, version, 1+i%3)); {
				case err == nil:
					succeeded.Add(int64(1 + i%3))
				case !errors.Is(err, journal.ErrConflict):
					s.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	require.Len(s, s.all(), int(succeeded.Load()))
}

func (s *suite) answers() {
	const callers, each = 20, 100
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() {
			stream := fmt.Sprint("stream ", c)
			came := make(chan int, each*2)
			for i := range each {
				s.Submit(event(stream, uint64(i), 1), func(r journal.Result) {
					if r.Err != nil || r.Version != uint64(i+1) {
						s.Errorf("append %d of %s: %+v", i, stream, r)
					}
					came <- i
				})
			}
			late := s.ctx().Done()
			for want := range each {
				select {
				case got := <-came:
					if got != want {
						s.Errorf("%s: answer %d came when %d was due", stream, got, want)
					}
				case <-late:
					s.Errorf("%s: answer %d never came", stream, want)
					return
				}
			}
		})
	}
	wg.Wait()
	require.Len(s, s.all(), callers*each)
}

func (s *suite) closeInFlight() {
	const callers, each = 8, 2000
	var answered [callers][each]atomic.Int32
	var durable [callers]atomic.Int64
	var wg sync.WaitGroup
	var done sync.WaitGroup
	done.Add(callers * each)
	halfway := make(chan struct{})
	var once sync.Once
	for c := range callers {
		wg.Go(func() {
			for i := range each {
				s.Submit(event(fmt.Sprint("stream ", c), uint64(i), 1), func(r journal.Result) {
					defer done.Done()
					answered[c][i].Add(1)
					switch {
					case r.Err == nil:
						durable[c].Add(1)
					case !errors.Is(r.Err, journal.ErrClosed) && !errors.Is(r.Err, journal.ErrConflict):
						s.Errorf("answer: %v", r.Err)
					}
				})
				if i == each/2 {
					once.Do(func() { close(halfway) })
				}
			}
		})
	}
	<-halfway
	require.NoError(s, s.Close())
	wg.Wait()
	done.Wait()
	for c := range answered {
		for i := range answered[c] {
			require.Equal(s, int32(1), answered[c][i].Load(), "answers of append %d of caller %d", i, c)
		}
	}
	s.Journal = s.reopen()
	total := 0
	for c := range callers {
		version, _, err := s.Head(s.ctx(), fmt.Sprint("stream ", c))
		require.NoError(s, err)
		require.Equal(s, uint64(durable[c].Load()), version)
		total += int(version)
	}
	require.Len(s, s.all(), total)
}

func (s *suite) closed() {
	s.add(event("a", 0, 1))
	require.NoError(s, s.Healthy(s.ctx()))
	require.NoError(s, s.Close())
	require.ErrorIs(s, s.Close(), journal.ErrClosed)
	require.ErrorIs(s, s.refuse(event("a", 1, 1)), journal.ErrClosed)
	ctx := s.ctx()
	for name, call := range map[string]func(context.Context) error{
		"Healthy":      s.Healthy,
		"Head":         func(ctx context.Context) error { _, _, err := s.Head(ctx, "a"); return err },
		"Read":         func(ctx context.Context) error { _, err := s.Read(ctx, "a", 0, 1); return err },
		"ReadAll":      func(ctx context.Context) error { _, err := s.ReadAll(ctx, 0, 1); return err },
		"Claimed":      func(ctx context.Context) error { _, err := s.Claimed(ctx, "k", "k"); return err },
		"Entries":      func(ctx context.Context) error { _, err := s.Entries(ctx, "k", "k", "", 1); return err },
		"Streams":      func(ctx context.Context) error { _, err := s.Streams(ctx, "", 1); return err },
		"Index":        func(ctx context.Context) error { _, err := s.Index(ctx, journal.IndexRow{}, 1); return err },
		"Snapshots":    func(ctx context.Context) error { _, err := s.Snapshots(ctx, "", 1); return err },
		"SaveSnapshot": func(ctx context.Context) error { return s.SaveSnapshot(ctx, journal.Snapshot{Stream: "a", Version: 1}) },
		"LoadSnapshot": func(ctx context.Context) error { _, _, err := s.LoadSnapshot(ctx, "a"); return err },
	} {
		require.ErrorIs(s, call(ctx), journal.ErrClosed, name)
	}
}
