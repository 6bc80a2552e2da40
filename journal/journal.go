// Package journal is the store's contract: streams of opaque records that are durable before anybody hears of them.
//
// A stream is a gapless sequence of versions, starting at 1, that belongs to one grain. Every record also has a
// position, which is gapless over all streams in the order of the commits. The engines are journal/sqlite
// (embedded), journal/postgres (shared by a cluster) and journal/memory (tests); journal/journaltest is the suite that
// each of them passes.
package journal

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Journal is one engine. All methods may be called from any goroutine.
type Journal interface {
	// Submit hands over an append without waiting. done is called exactly once, on a goroutine of the journal that
	// must not be held up (so it must not wait, nor call Submit): with a nil error when the append is durable,
	// otherwise it did not happen (but see ErrUnknown). Appends to one stream take effect, and are answered, in the
	// order in which they were submitted. The journal keeps the append's slices until it has called done.
	// When the queue is full Submit itself waits until there is room, the deadline passes or the journal closes.
	Submit(a Append, done func(Result))
	// Hurry lets the appends go that linger: somebody waits for what comes after them.
	Hurry()

	// ID names the journal: it is the same for all that share it, after a restart too, and no other journal's. It may say where
	// the journal is.
	ID() string
	// Shared tells whether other processes append to the journal, too. If not, whoever has appended knows all.
	Shared() bool
	// Confirm is for those who answer from memory what others may have changed: done is called exactly once, on a goroutine
	// of the journal that must not be held up, with nil when the stream was at the version at a moment after the call, with
	// ErrConflict when it was not, and with another error when that could not be found out.
	Confirm(stream string, version uint64, done func(error))

	// Head returns the version of a stream (0: it does not exist) and the ID of its last append.
	Head(ctx context.Context, stream string) (version uint64, lastAppendID string, err error)
	// Read returns up to limit records of a stream, from the version after `after` on, and not more of them than PageBytes allows: Full tells
	// whether there may be more.
	Read(ctx context.Context, stream string, after uint64, limit int) ([]Record, error)
	// ReadAll returns up to limit records of all streams, from the position after `after` on, without gaps, and bounded as Read's are.
	ReadAll(ctx context.Context, after uint64, limit int) ([]Record, error)

	// Claimed returns the stream that holds a claim, or "" when nobody does.
	Claimed(ctx context.Context, kind, key string) (stream string, err error)
	// Entries returns up to limit refs under (kind, key) that come after `after`, in the byte order of their refs.
	Entries(ctx context.Context, kind, key, after string, limit int) ([]Entry, error)

	// SaveSnapshot keeps a snapshot, unless one of the same or a newer version is kept already or the stream has not
	// come that far. It is a cache: it need not be durable, and an engine that is behind with its snapshots may leave
	// one out. It does not wait for a disk.
	SaveSnapshot(ctx context.Context, s Snapshot) error
	// LoadSnapshot returns the snapshot of a stream; ok is false when there is none.
	LoadSnapshot(ctx context.Context, stream string) (s Snapshot, ok bool, err error)

	// Streams, Index and Snapshots return the rows of the whole journal, up to limit of them that come after `after`: for
	// those that verify it. Streams and snapshots are in the byte order of the streams' names, index rows in that of their
	// kinds, keys and refs.
	Streams(ctx context.Context, after string, limit int) ([]Stream, error)
	Index(ctx context.Context, after IndexRow, limit int) ([]IndexRow, error)
	Snapshots(ctx context.Context, after string, limit int) ([]Snapshot, error)

	// Healthy returns nil while the journal accepts appends, and otherwise why it does not.
	Healthy(ctx context.Context) error
	// Close answers what was submitted, then closes. Later calls, of Close too, return ErrClosed.
	Close() error
}

// Append adds records to one stream, with their index rows, in one transaction.
type Append struct {
	Stream   string
	Expected uint64    // the stream's version before; 0 for a new stream
	ID       string    // names this append (the command ID), so that a lost answer can be looked up
	Deadline time.Time // dropped with ErrDeadline if it is not staged by then; zero: never
	// Lazy says that nobody waits for the append: it may linger for some milliseconds so that it shares a commit with
	// others, until Hurry. It is no less durable when done is called.
	Lazy    bool
	Records []NewRecord
	Index   []IndexChange
}

// MaxAppendBytes bounds one append, so that the queue and a transaction are bounded too.
const MaxAppendBytes = 8 << 20

// Size is what the append weighs: the bytes that the caller wants to be stored.
func (a *Append) Size() int {
	size := len(a.Stream) + len(a.ID)
	for i := range a.Records {
		size += len(a.Records[i].Type) + len(a.Records[i].Data)
	}
	for i := range a.Index {
		size += len(a.Index[i].Kind) + len(a.Index[i].Key) + len(a.Index[i].Ref)
	}
	return size
}

// Validate returns why no engine takes this append (ErrInvalid), or nil. The engines call it.
func (a *Append) Validate() error {
	switch {
	case a.Stream == "":
		return fmt.Errorf("%w: no stream", ErrInvalid)
	case a.ID == "":
		return fmt.Errorf("%w: no append ID", ErrInvalid)
	case len(a.Records) == 0:
		return fmt.Errorf("%w: no records", ErrInvalid)
	case a.Size() > MaxAppendBytes:
		return fmt.Errorf("%w: %d bytes, %d are allowed", ErrInvalid, a.Size(), MaxAppendBytes)
	}
	for _, r := range a.Records {
		if r.Type == "" {
			return fmt.Errorf("%w: a record without a type", ErrInvalid)
		}
	}
	for _, c := range a.Index {
		if c.Op < Claim || c.Op > Remove || c.Kind == "" || c.Key == "" || (c.Op != Claim) != (c.Ref != "") || c.New && c.Op != Claim {
			return fmt.Errorf("%w: index change %d of (%q, %q, %q)", ErrInvalid, c.Op, c.Kind, c.Key, c.Ref)
		}
	}
	return nil
}

// NewRecord is a record to be stored. Data is opaque to the journal (ours is JSON).
type NewRecord struct {
	Type string
	Time time.Time
	Data []byte
}

// Record is a stored record. Time is in UTC with milliseconds.
type Record struct {
	Stream   string
	Version  uint64
	Position uint64
	Type     string
	Time     time.Time
	AppendID string
	Data     []byte
}

// IndexOp is what an IndexChange does.
type IndexOp uint8

const (
	// Claim makes the stream the only holder of (Kind, Key). If another stream holds it the append fails with
	// a *ClaimError; if this stream holds it already nothing happens, unless it has to be New. Claims are never given up.
	Claim IndexOp = iota + 1
	// Put adds the entry (Kind, Key, Ref) and makes it this stream's, whoever had it before. Remove takes it away if
	// it is this stream's. Neither fails.
	Put
	Remove
)

// IndexChange is one change to the index rows that an append brings with it.
type IndexChange struct {
	Op   IndexOp
	New  bool // for Claim: it fails, too, if this stream has held it since before the append
	Kind string
	Key  string
	Ref  string // for Put and Remove
}

// Entry is one index row.
type Entry struct {
	Ref    string
	Stream string
}

// IndexRow is a claim, whose Ref is empty, or an entry.
type IndexRow struct {
	Kind   string
	Key    string
	Ref    string
	Stream string
}

// Stream is the head of a stream.
type Stream struct {
	Name     string
	Version  uint64
	AppendID string // of its last append
}

// Snapshot is a disposable copy of a stream's state at a version.
type Snapshot struct {
	Stream  string
	Version uint64
	Codec   string // the reader ignores a snapshot whose codec it does not know
	Data    []byte
}

// Result is the answer to a Submit. Version and Position are those of the append's last record.
type Result struct {
	Version  uint64
	Position uint64
	Err      error
}

// The errors of Submit, to be matched with errors.Is.
var (
	ErrConflict = errors.New("journal: the stream is not at the expected version")
	ErrDeadline = errors.New("journal: the deadline passed before the append was staged")
	ErrClosed   = errors.New("journal: closed")
	// ErrFailed is returned for ever after an I/O error: the process must end, and start again clean.
	ErrFailed = errors.New("journal: the store failed")
	// ErrUnknown says that the commit's answer was lost: Head and the append ID tell what happened. An append whose
	// own commit failed on an I/O error is ErrFailed and ErrUnknown at once: it may be there after the next start.
	ErrUnknown = errors.New("journal: the outcome of the append is unknown")
	// ErrInvalid is an append that no engine takes, see Append.Validate.
	ErrInvalid = errors.New("journal: invalid append")
)

// ClaimError says which stream holds a claim: another one, or the append's own when the claim had to be new.
type ClaimError struct{ Kind, Key, Stream string }

func (e *ClaimError) Error() string {
	return fmt.Sprintf("journal: %s %q is claimed by %s", e.Kind, e.Key, e.Stream)
}

// Do submits an append and waits for its answer, or for ctx: then the outcome is unknown to the caller.
func Do(ctx context.Context, j Journal, a Append) (Result, error) {
	if d, ok := ctx.Deadline(); ok && a.Deadline.IsZero() {
		a.Deadline = d
	}
	answer := make(chan Result, 1)
	j.Submit(a, func(r Result) { answer <- r })
	select {
	case r := <-answer:
		return r, r.Err
	case <-ctx.Done():
		return Result{}, fmt.Errorf("%w: %w", ErrUnknown, ctx.Err())
	}
}
