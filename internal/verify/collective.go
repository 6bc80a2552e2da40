package verify

import (
	"github.com/latchkey/latchkey/collective"
	"github.com/latchkey/latchkey/journal"
)

// collectiveReplay follows the stream of a collective key. Whether its doors are in the streams of their locks is not
// looked at: while a key is granted or revoked, some are and some are not.
type collectiveReplay struct {
	*checker
	stream string
	replay collective.Replay
}

func (k *collectiveReplay) record(r *journal.Record) bool {
	rows, err := k.replay.Apply(r)
	if err != nil {
		k.found(k.stream, "version %d cannot be: %v", r.Version, err)
		return false
	}
	for _, row := range rows {
		switch row.Op {
		case journal.Claim:
			k.claims(r, row.Kind, row.Key)
		case journal.Put:
			k.puts(r, row.Kind, row.Key, row.Ref)
		case journal.Remove:
			k.removes(r, row.Kind, row.Key, row.Ref)
		}
	}
	return true
}

func (k *collectiveReplay) snapshot(s *journal.Snapshot) {
	k.found(k.stream, "has a snapshot of version %d, which no collective key has", s.Version)
}

// pinReplay follows the stream that says which key guards the PINs.
type pinReplay struct{ *checker }

func (p *pinReplay) record(r *journal.Record) bool {
	if _, err := collective.ReadFingerprint(r); err != nil || r.Version > 1 {
		p.found(r.Stream, "version %d should be the only record, of a key: %v", r.Version, err)
	}
	return true
}

func (p *pinReplay) snapshot(s *journal.Snapshot) {
	p.found(s.Stream, "has a snapshot of version %d, which it never has", s.Version)
}
