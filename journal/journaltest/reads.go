package journaltest

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/journal"
)

func (s *suite) missing() {
	version, id, err := s.Head(s.ctx(), "nobody")
	require.NoError(s, err)
	require.Zero(s, version)
	require.Empty(s, id)
	records, err := s.Read(s.ctx(), "nobody", 0, 10)
	require.NoError(s, err)
	require.Empty(s, records)
	require.Empty(s, s.all())
	_, ok, err := s.LoadSnapshot(s.ctx(), "nobody")
	require.NoError(s, err)
	require.False(s, ok)
}

func (s *suite) pages() {
	s.add(event("a", 0, 5))
	s.add(event("b", 0, 5))
	s.add(event("a", 5, 5))
	for _, c := range []struct {
		after uint64
		limit int
		want  []uint64
	}{
		{0, 3, []uint64{1, 2, 3}},
		{3, 3, []uint64{4, 5, 6}},
		{8, 100, []uint64{9, 10}},
		{10, 1, nil},
		{1 << 62, 1, nil},
		{0, 0, nil},
	} {
		records, err := s.Read(s.ctx(), "a", c.after, c.limit)
		require.NoError(s, err)
		var versions []uint64
		for _, r := range records {
			versions = append(versions, r.Version)
		}
		require.Equal(s, c.want, versions)
	}
	records, err := s.ReadAll(s.ctx(), 4, 3)
	require.NoError(s, err)
	require.Len(s, records, 3)
	require.Equal(s, []any{"a", uint64(5), "b", uint64(1), "b", uint64(2)},
		[]any{records[0].Stream, records[0].Version, records[1].Stream, records[1].Version, records[2].Stream, records[2].Version})
}

// Of records of these sizes, in kB, a page has as many as it takes to reach its bound, and one if that is larger.
func (s *suite) largePages() {
	const perPage = journal.PageBytes / 1000
	sizes := []int{perPage / 2, 1, perPage, 3 * perPage, 5, 5, perPage/2 + 1, perPage / 2, 1, 2, 3, 4, 5, 6}
	want := [][]uint64{{1, 2, 3}, {4}, {5, 6, 7, 8}, {9, 10, 11, 12, 13, 14}}
	for i, kilobytes := range sizes {
		a := event("large", uint64(i), 1)
		a.Records[0].Data = bytes.Repeat([]byte{byte('a' + i)}, kilobytes*1000)
		s.add(a)
		s.add(event(fmt.Sprint("small ", i), 0, 1))
	}
	s.restarted()
	var after uint64
	for _, versions := range want {
		page, err := s.Read(s.ctx(), "large", after, 1000)
		require.NoError(s, err)
		for _, r := range page {
			after++
			require.Equal(s, after, r.Version)
			require.True(s, bytes.Equal(bytes.Repeat([]byte{byte('a' + after - 1)}, sizes[after-1]*1000), r.Data), "version %d", after)
		}
		require.Len(s, page, len(versions))
		require.Equal(s, versions[len(versions)-1], after)
		require.Equal(s, after < uint64(len(sizes)), journal.Full(page, 1000))
		few, err := s.Read(s.ctx(), "large", versions[0]-1, 1)
		require.NoError(s, err)
		require.Len(s, few, 1, "a page that is short for its limit is as before")
		require.Equal(s, versions[0], few[0].Version)
	}
	var all []uint64
	for r, err := range journal.All(s.ctx(), s.Journal, "large", 2) {
		require.NoError(s, err)
		all = append(all, r.Version)
	}
	require.Equal(s, []uint64{3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14}, all)

	// By their positions there is a small one after each.
	var ends []uint64
	for position := uint64(0); ; {
		page, err := s.ReadAll(s.ctx(), position, 1000)
		require.NoError(s, err)
		for _, r := range page {
			position++
			require.Equal(s, position, r.Position)
		}
		if ends = append(ends, position); !journal.Full(page, 1000) {
			break
		}
	}
	require.Equal(s, []uint64{5, 7, 15, 28}, ends)
}

func (s *suite) longStream() {
	const length = 1400
	var appends []journal.Append
	for version := uint64(0); version < length; version += 7 {
		appends = append(appends, event("long", version, 7), event(fmt.Sprint("other ", version), 0, 1))
	}
	for _, a := range s.submit(appends...) {
		require.NoError(s, a.Err)
	}
	for round := range 100 {
		if round == 50 {
			s.restarted()
		}
		after, limit := rand.Uint64N(length+50), 1+rand.IntN(length/(1+round%20))
		records, err := s.Read(s.ctx(), "long", after, limit)
		require.NoError(s, err)
		require.Len(s, records, max(0, min(limit, length-int(after))))
		for i, r := range records {
			require.Equal(s, after+1+uint64(i), r.Version)
			require.Equal(s, fmt.Sprint("long#", r.Version), string(r.Data))
		}
	}
}

func (s *suite) snapshots() {
	s.add(event("a", 0, 9))
	save := func(version uint64, codec, data string) {
		s.Helper()
		require.NoError(s, s.SaveSnapshot(s.ctx(), journal.Snapshot{Stream: "a", Version: version, Codec: codec, Data: []byte(data)}))
	}
	kept := func(version uint64, codec, data string) {
		s.Helper()
		want := journal.Snapshot{Stream: "a", Version: version, Codec: codec, Data: []byte(data)}
		var got journal.Snapshot
		require.Eventually(s, func() bool {
			var ok bool
			var err error
			got, ok, err = s.LoadSnapshot(s.ctx(), "a")
			require.NoError(s, err)
			return ok && got.Version == version
		}, patience, time.Millisecond)
		require.Equal(s, want, got)
	}
	save(5, "v1", "five")
	kept(5, "v1", "five")
	save(7, "v2", "seven")
	save(6, "v1", "six")
	kept(7, "v2", "seven")
	s.restarted()
	kept(7, "v2", "seven")
	save(4, "v1", "four")
	save(9, "v3", "nine")
	kept(9, "v3", "nine")

	// What the stream has not reached cannot be a copy of its state.
	save(10, "v3", "ten")
	require.NoError(s, s.SaveSnapshot(s.ctx(), journal.Snapshot{Stream: "nobody", Version: 1, Codec: "v1", Data: []byte("x")}))
	s.restarted()
	kept(9, "v3", "nine")
	_, ok, err := s.LoadSnapshot(s.ctx(), "nobody")
	require.NoError(s, err)
	require.False(s, ok)
}

// paged asks for pages of two until there are no more.
func paged[T any](s *suite, page func(ctx context.Context, after T, limit int) ([]T, error)) (all []T) {
	s.Helper()
	var after T
	for {
		some, err := page(s.ctx(), after, 2)
		require.NoError(s, err)
		if len(some) == 0 {
			return all
		}
		require.LessOrEqual(s, len(some), 2)
		all, after = append(all, some...), some[len(some)-1]
	}
}

func (s *suite) whole() {
	s.add(event("b", 0, 3))
	s.add(indexed("a", 0, claim("k", "x"), claim("j", "y"), claim("k", "z"), put("k", "x", "r2")))
	s.add(indexed("c", 0, put("k", "x", "r1"), put("i", "x", "r1"), put("k", "x", "gone")))
	s.add(indexed("c", 1, remove("k", "x", "gone")))
	for _, stream := range []string{"c", "a", "b"} {
		require.NoError(s, s.SaveSnapshot(s.ctx(), journal.Snapshot{Stream: stream, Version: 1, Codec: "v1", Data: []byte(stream)}))
	}
	require.Eventually(s, func() bool {
		saved, err := s.Snapshots(s.ctx(), "", 10)
		return err == nil && len(saved) == 3
	}, patience, time.Millisecond)

	require.Equal(s, []journal.Stream{
		{Name: "a", Version: 1, AppendID: "a@0"}, {Name: "b", Version: 3, AppendID: "b@0"}, {Name: "c", Version: 2, AppendID: "c@1"},
	}, paged(s, func(ctx context.Context, after journal.Stream, limit int) ([]journal.Stream, error) {
		return s.Streams(ctx, after.Name, limit)
	}))
	require.Equal(s, []journal.IndexRow{
		{Kind: "i", Key: "x", Ref: "r1", Stream: "c"}, {Kind: "j", Key: "y", Stream: "a"}, {Kind: "k", Key: "x", Stream: "a"},
		{Kind: "k", Key: "x", Ref: "r1", Stream: "c"}, {Kind: "k", Key: "x", Ref: "r2", Stream: "a"}, {Kind: "k", Key: "z", Stream: "a"},
	}, paged(s, s.Index))
	require.Equal(s, []journal.Snapshot{
		{Stream: "a", Version: 1, Codec: "v1", Data: []byte("a")}, {Stream: "b", Version: 1, Codec: "v1", Data: []byte("b")},
		{Stream: "c", Version: 1, Codec: "v1", Data: []byte("c")},
	}, paged(s, func(ctx context.Context, after journal.Snapshot, limit int) ([]journal.Snapshot, error) {
		return s.Snapshots(ctx, after.Stream, limit)
	}))
}

func (s *suite) restart() {
	s.add(event("a", 0, 3))
	s.add(indexed("b", 0, claim("device", "x")))
	before, name := s.all(), s.ID()
	require.NotEmpty(s, name)
	s.restarted()
	require.Equal(s, before, s.all())
	require.Equal(s, name, s.ID())

	version, id, err := s.Head(s.ctx(), "a")
	require.NoError(s, err)
	require.Equal(s, uint64(3), version)
	require.Equal(s, "a@0", id)
	require.ErrorIs(s, s.refuse(event("a", 0, 1)), journal.ErrConflict)
	require.Equal(s, journal.Result{Version: 4, Position: 5}, s.add(event("a", 3, 1)))
	s.restarted()
	require.Len(s, s.all(), 5)
}
