package verify

import (
	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/named"
)

// names notes the claims of a request's name.
func (c *checker) names(r *journal.Record, rows []journal.IndexChange) {
	for _, row := range rows {
		c.claims(r, row.Kind, row.Key)
	}
}

// remembers reads the record of a request's name, and notes its claims; nil when it cannot be read.
func (c *checker) remembers(r *journal.Record) *named.Remembered {
	m, err := named.Read(r)
	if err != nil || m == nil {
		c.found(r.Stream, "version %d should be the name of a request: %v", r.Version, err)
		return nil
	}
	c.names(r, m.Claims(m.At))
	return m
}

// requestReplay follows the stream of a request that has changed nothing, which is its name.
type requestReplay struct{ *checker }

func (q *requestReplay) record(r *journal.Record) bool {
	m := q.remembers(r)
	switch {
	case m == nil:
		return false
	case r.Version > 1:
		q.found(r.Stream, "version %d should not be there: the stream has one record", r.Version)
	case m.Stream == "": // the streams that it has led to remember it, too
	case q.versions[m.Stream].last < m.Version || m.Version == 0:
		q.found(r.Stream, "its answer is version %d of %q, which is not there", m.Version, m.Stream)
	}
	return true
}

func (q *requestReplay) snapshot(s *journal.Snapshot) {
	q.found(s.Stream, "has a snapshot of version %d, which it never has", s.Version)
}
