package verify

import (
	"context"
	"fmt"

	"github.com/latchkey/latchkey/journal"
)

// expected is the index as the records say: what became of each row last, and where.
type expected map[journal.IndexRow]outcome

type outcome struct {
	stream   string // that has the row; empty: the row was removed
	position uint64
}

// claims notes that the record makes its stream the holder of a claim.
func (c *checker) claims(r *journal.Record, kind, key string) {
	row := journal.IndexRow{Kind: kind, Key: key}
	if before, ok := c.want[row]; ok && before.stream != r.Stream {
		c.found(r.Stream, "version %d makes the %s, which is %s's", r.Version, name(row), before.stream)
		return
	}
	c.want[row] = outcome{r.Stream, r.Position}
}

// puts and removes note what the record does to an entry. Streams are replayed one after the other, so of two streams the
// later position counts.
func (c *checker) puts(r *journal.Record, kind, key, ref string) {
	c.changes(r, journal.IndexRow{Kind: kind, Key: key, Ref: ref}, r.Stream)
}

func (c *checker) removes(r *journal.Record, kind, key, ref string) {
	c.changes(r, journal.IndexRow{Kind: kind, Key: key, Ref: ref}, "")
}

func (c *checker) changes(r *journal.Record, row journal.IndexRow, stream string) {
	if before, ok := c.want[row]; !ok || before.position < r.Position {
		c.want[row] = outcome{stream, r.Position}
	}
}

// checkIndex compares the index with what the records say. Rows that changed after the index was read are left out.
func (c *checker) checkIndex(context.Context) error {
	for row, want := range c.want {
		has, ok := c.rows[row]
		switch {
		case want.position > c.settled && !(ok && row.Ref == ""):
		case ok && want.stream == "":
			c.found(name(row), "was removed at position %d, but is there, of %s", want.position, has)
		case ok && has != want.stream:
			c.found(name(row), "is of %s, but its records are those of %s", has, want.stream)
		case !ok && want.stream != "":
			c.found(name(row), "is missing: %s made it at position %d", want.stream, want.position)
		}
	}
	for row, has := range c.rows {
		if _, ok := c.want[row]; !ok {
			c.found(name(row), "is of %s, but no record has made it", has)
		}
	}
	return nil
}

// name is how a row is called.
func name(row journal.IndexRow) string {
	if row.Ref == "" {
		return fmt.Sprintf("claim %s %q", row.Kind, row.Key)
	}
	return fmt.Sprintf("entry %s %q %q", row.Kind, row.Key, row.Ref)
}
