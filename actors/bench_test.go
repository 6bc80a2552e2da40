package actors

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/lock"
)

// BenchmarkOpen is one open with a temporary key to the device's answer and back: two appends, one effect, one answer.
func BenchmarkOpen(b *testing.B) {
	for _, engine := range []struct {
		name string
		open func(testing.TB) journal.Journal
	}{{"memory", inMemory}, {"sqlite", onDisk}} {
		b.Run(engine.name, func(b *testing.B) {
			w := start(b, engine.open(b), nil)
			id := w.newLock()
			key := w.newKey(id, 0)
			w.connect(id, opens)
			ctx := context.Background()
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				openOnce(b, ctx, w, id, key, i)
			}
		})
	}
}

// BenchmarkOpenManyLocks is the same from 64 callers on 1,000 locks.
func BenchmarkOpenManyLocks(b *testing.B) {
	w := start(b, inMemory(b), nil)
	ids, keys := make([]lock.ID, 1000), make([]lock.TempKeyID, 1000)
	for i := range ids {
		ids[i] = w.newLock()
		keys[i] = w.newKey(ids[i], 0)
		w.connect(ids[i], opens)
	}
	var n atomic.Int64
	b.SetParallelism(32)
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			i := int(n.Add(1))
			openOnce(b, context.Background(), w, ids[i%len(ids)], keys[i%len(ids)], i)
		}
	})
}

// BenchmarkHotKey is one key of one lock with 256 callers.
func BenchmarkHotKey(b *testing.B) {
	for _, engine := range []struct {
		name string
		open func(testing.TB) journal.Journal
	}{{"memory", inMemory}, {"sqlite", onDisk}} {
		b.Run(engine.name, func(b *testing.B) {
			w := start(b, engine.open(b), nil)
			id := w.newLock()
			key := w.newKey(id, 0)
			w.connect(id, opens)
			var n atomic.Int64
			b.SetParallelism(128)
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					openOnce(b, context.Background(), w, id, key, int(n.Add(1)))
				}
			})
		})
	}
}

func openOnce(b *testing.B, ctx context.Context, w *world, id lock.ID, key lock.TempKeyID, i int) {
	name := fmt.Sprintf("%08d", i)
	reply, err := w.Do(ctx, id, &lock.OpenWithTempKey{
		TempKeyID: key, RequestID: lock.RequestID(name), CommandID: lock.CommandID(name),
		Lifetime: 5 * time.Second, Hold: 10 * time.Second,
	})
	if err != nil || reply.(*lock.OpenResult).Outcome != lock.Opened {
		b.Errorf("open %d: %+v, %v", i, reply, err)
	}
}

// BenchmarkQuery is the cost of a call without any append.
func BenchmarkQuery(b *testing.B) {
	w := start(b, inMemory(b), nil)
	id := w.newLock()
	b.ReportAllocs()
	for b.Loop() {
		_, err := w.Do(context.Background(), id, &lock.GetLock{By: owner})
		require.NoError(b, err)
	}
}

// BenchmarkLoad brings a lock of 1,000 records into memory, with and without a snapshot.
func BenchmarkLoad(b *testing.B) {
	for _, snapshot := range []bool{true, false} {
		b.Run(fmt.Sprintf("snapshot=%v", snapshot), func(b *testing.B) {
			j := onDisk(b)
			w := start(b, j, nil)
			id := w.newLock()
			key := w.newKey(id, 0)
			w.connect(id, opens)
			for i := range 333 {
				openOnce(b, context.Background(), w, id, key, i)
			}
			w.must(id, &lock.GetLock{By: owner}) // waits for the last append
			w.stop()
			if !snapshot {
				w = start(b, j, nil)
				w.own(id)
				w.must(id, &lock.SetOwner{By: owner, UserID: "somebody"})
				w.stop()
				require.NoError(b, j.SaveSnapshot(context.Background(), journal.Snapshot{
					Stream: Stream(id), Version: 1002, Codec: "none",
				}))
			}
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				img := w.shell.read(context.Background(), Stream(id), nil)
				require.NoError(b, img.err)
				require.GreaterOrEqual(b, img.state.Version, uint64(1001))
			}
		})
	}
}
