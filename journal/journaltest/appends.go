package journaltest

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/journal"
)

func (s *suite) fields() {
	at := time.Date(2026, 5, 1, 12, 0, 0, 123_456_789, time.FixedZone("", 7200))
	r := s.add(journal.Append{
		Stream: "lock/1", ID: "command-1",
		Records: []journal.NewRecord{{Type: "A", Time: at, Data: []byte(`{"a":1}`)}, {Type: "B", Time: at}},
	})
	require.Equal(s, journal.Result{Version: 2, Position: 2}, r)

	records, err := s.Read(s.ctx(), "lock/1", 0, 10)
	require.NoError(s, err)
	utc := time.Date(2026, 5, 1, 10, 0, 0, 123_000_000, time.UTC)
	for i := range records {
		if len(records[i].Data) == 0 {
			records[i].Data = nil
		}
	}
	require.Equal(s, []journal.Record{
		{Stream: "lock/1", Version: 1, Position: 1, Type: "A", Time: utc, AppendID: "command-1", Data: []byte(`{"a":1}`)},
		{Stream: "lock/1", Version: 2, Position: 2, Type: "B", Time: utc, AppendID: "command-1"},
	}, records)

	s.add(journal.Append{Stream: "lock/1", Expected: 2, ID: "command-2", Records: event("", 0, 1).Records})
	version, id, err := s.Head(s.ctx(), "lock/1")
	require.NoError(s, err)
	require.Equal(s, uint64(3), version)
	require.Equal(s, "command-2", id)
}

func (s *suite) gapless() {
	s.add(event("a", 0, 3))
	s.add(event("b", 0, 1))
	_ = s.refuse(event("b", 7, 5))
	require.Equal(s, uint64(6), s.add(event("a", 3, 2)).Position)
	require.Len(s, s.all(), 6)
}

func (s *suite) conflict() {
	s.add(event("a", 0, 2))
	for _, expected := range []uint64{0, 1, 3, 1 << 40} {
		require.ErrorIs(s, s.refuse(event("a", expected, 1)), journal.ErrConflict)
	}
	require.ErrorIs(s, s.refuse(event("new", 1, 1)), journal.ErrConflict)
	s.add(event("a", 2, 1))
	require.Len(s, s.all(), 3)
}

func (s *suite) conflictInBatch() {
	answers := s.submit(
		event("a", 0, 1), event("b", 0, 1), event("b", 1, 1),
		event("a", 5, 1), // wrong, and so are those that build on it
		event("a", 6, 1), event("b", 2, 1), event("a", 7, 1),
		event("a", 1, 1), // right again
	)
	failed := map[int]bool{}
	for _, a := range answers {
		if failed[a.of] = a.Err != nil; failed[a.of] {
			require.ErrorIs(s, a.Err, journal.ErrConflict)
		}
	}
	require.Equal(s, map[int]bool{0: false, 1: false, 2: false, 3: true, 4: true, 5: false, 6: true, 7: false}, failed)
	require.Len(s, s.all(), 5)
}

func (s *suite) pipelining() {
	const depth = 1500 // more than a batch holds
	var appends []journal.Append
	for i := range uint64(depth) {
		appends = append(appends, event("hot", i*2, 2))
	}
	for i, a := range s.submit(appends...) {
		require.NoError(s, a.Err)
		require.Equal(s, answer{i, journal.Result{Version: uint64(i)*2 + 2, Position: uint64(i)*2 + 2}}, a)
	}
	for i, r := range s.all() {
		require.Equal(s, fmt.Sprintf("hot#%d", i+1), string(r.Data))
	}
}

func (s *suite) raceForOneVersion() {
	s.add(event("a", 0, 1))
	const racers = 64
	won := make(chan bool, racers)
	for i := range racers {
		go func() {
			a := event("a", 1, 1)
			a.ID = fmt.Sprint("racer ", i)
			_, err := journal.Do(s.ctx(), s.Journal, a)
			won <- err == nil
		}()
	}
	winners := 0
	for range racers {
		if <-won {
			winners++
		}
	}
	require.Equal(s, 1, winners)
	require.Len(s, s.all(), 2)
}

func (s *suite) deadline() {
	late := event("a", 0, 1)
	late.Deadline = time.Now().Add(-time.Millisecond)
	require.ErrorIs(s, s.refuse(late), journal.ErrDeadline)

	answers := s.submit(late, event("a", 1, 1), event("b", 0, 1)) // what builds on a dropped append fails too
	for _, a := range answers {
		require.ErrorIs(s, a.Err, []error{journal.ErrDeadline, journal.ErrConflict, nil}[a.of])
	}
	early := event("a", 0, 1)
	early.Deadline = time.Now().Add(time.Hour)
	s.add(early)
	require.Len(s, s.all(), 2)
}

func (s *suite) invalid() {
	index := func(c journal.IndexChange) journal.Append {
		a := event("a", 0, 1)
		a.Index = []journal.IndexChange{c}
		return a
	}
	for name, a := range map[string]journal.Append{
		"no records":        {Stream: "a", ID: "1"},
		"no stream":         {ID: "1", Records: event("", 0, 1).Records},
		"no append ID":      {Stream: "a", Records: event("", 0, 1).Records},
		"no type":           {Stream: "a", ID: "1", Records: []journal.NewRecord{{Data: []byte("1")}}},
		"too large":         {Stream: "a", ID: "1", Records: []journal.NewRecord{{Type: "A", Data: make([]byte, journal.MaxAppendBytes)}}},
		"no operation":      index(journal.IndexChange{Kind: "k", Key: "k"}),
		"no kind":           index(journal.IndexChange{Op: journal.Claim, Key: "k"}),
		"no key":            index(journal.IndexChange{Op: journal.Claim, Kind: "k"}),
		"claim with a ref":  index(journal.IndexChange{Op: journal.Claim, Kind: "k", Key: "k", Ref: "r"}),
		"a put that is new": index(journal.IndexChange{Op: journal.Put, New: true, Kind: "k", Key: "k", Ref: "r"}),
		"put without ref":   index(journal.IndexChange{Op: journal.Put, Kind: "k", Key: "k"}),
	} {
		require.ErrorIs(s, s.refuse(a), journal.ErrInvalid, name)
	}
	require.NoError(s, s.Healthy(s.ctx()))
	s.add(event("a", 0, 1))
	require.Len(s, s.all(), 1)
}

func (s *suite) huge() {
	data := bytes.Repeat([]byte("0123456789abcdef"), 7<<20/16)
	odd := []byte("\x00\xff'\"; drop table records; -- \xf0\x9f\x94\x91")
	stream := "lock/" + strings.Repeat("ü", 1000)
	s.add(journal.Append{Stream: stream, ID: strings.Repeat("i", 1000), Records: []journal.NewRecord{{Type: "A", Data: data}, {Type: "B", Data: odd}}})
	s.restarted()
	var kept [][]byte
	for r, err := range journal.All(s.ctx(), s.Journal, stream, 0) {
		require.NoError(s, err)
		kept = append(kept, r.Data)
	}
	require.Equal(s, 2, len(kept))
	require.True(s, bytes.Equal(data, kept[0]))
	require.Equal(s, odd, kept[1])
}

func (s *suite) canceled() {
	ctx, cancel := context.WithCancel(s.ctx())
	cancel()
	_, err := s.Read(ctx, "a", 0, 1)
	require.ErrorIs(s, err, context.Canceled)
	_, _, err = s.Head(ctx, "a")
	require.ErrorIs(s, err, context.Canceled)

	// The caller no longer knows what happened; the append ID tells.
	_, err = journal.Do(ctx, s.Journal, event("a", 0, 1))
	if err != nil {
		require.ErrorIs(s, err, journal.ErrUnknown)
	}
	s.add(event("b", 0, 1)) // answered after the other one
	_, id, err := s.Head(s.ctx(), "a")
	require.NoError(s, err)
	require.Equal(s, "a@0", id)
}
