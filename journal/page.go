package journal

import (
	"context"
	"iter"
)

// PageBytes bounds a page of records beside its limit: it ends with the record whose data makes it so large, in bytes. One record may be
// nearly a megabyte (a key with a thousand users), so that a number of records alone bounds no memory.
const PageBytes = 256 << 10

// manyRecords are what All reads at a time.
const manyRecords = 512

// Full tells of a page that was read with this limit whether there may be more after it. One that is not full is the last.
func Full(page []Record, limit int) bool {
	size := 0
	for i := range page {
		size += len(page[i].Data)
	}
	return len(page) > 0 && (len(page) >= limit || size >= PageBytes)
}

// All goes through the records of a stream, from the version after `after` on, with a page of them in memory at a time. After an error
// there is nothing more.
func All(ctx context.Context, j Journal, stream string, after uint64) iter.Seq2[*Record, error] {
	return func(yield func(*Record, error) bool) {
		for {
			page, err := j.Read(ctx, stream, after, manyRecords)
			if err != nil {
				yield(nil, err)
				return
			}
			for i := range page {
				if after = page[i].Version; !yield(&page[i], nil) {
					return
				}
			}
			if !Full(page, manyRecords) {
				return
			}
		}
	}
}
