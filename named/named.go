// Package named remembers the requests that their callers gave a name, as far as they are about no lock: one that is sent again is
// answered as before, and not carried out again. A lock remembers its own (docs/adr/0017).
//
// What a request leads to and its name are one append: the last record of it is a Mark, and the name is claimed for the stream in
// the index. So the name is known if and only if the effect is there, to every member of a cluster, and of two requests of the
// same name at the same time one gets it. A Mark is also where the answer is found: it is what the stream said up to there.
// Nothing is kept in memory.
//
// Claims are never given up, and a name has to be free again some day: so every day has claims of its own. A request claims its
// name for the day on which it is carried out and for the next one, and whoever looks does so on a day and the next one, so
// that a name is remembered for 24 hours at least, and for 48 at most, though clocks may differ.
package named

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/lock"
)

// RecordType is the type of the record of a Mark, in whatever stream.
const RecordType = "RequestRemembered"

// StreamPrefix starts the names of the streams of requests that have changed nothing: one record in each.
const StreamPrefix = "request/"

const (
	claimKind = "request"
	claimDay  = 24 * time.Hour
)

// ErrUnavailable says that the journal could not be asked, so that nothing happened.
var ErrUnavailable = errors.New("named: the journal does not answer")

// Request is a request with a name, which belongs to its caller.
type Request struct {
	By   lock.Caller
	Key  string
	Hash []byte // of the whole request: the same name for another request is refused

	// Replayed is set when the request was carried out before.
	Replayed bool
}

type requestKey struct{}

// With gives the one call that a request is about its name.
func With(ctx context.Context, r *Request) context.Context {
	return context.WithValue(ctx, requestKey{}, r)
}

// From is the request that a call is made for; nil: it has no name. All methods take nil.
func From(ctx context.Context) *Request {
	r, _ := ctx.Value(requestKey{}).(*Request)
	return r
}

// Mark is what a record of RecordType says of a request, beside what the stream's other records have.
type Mark struct {
	Of   string `json:"of"` // whose name it is
	Key  string `json:"key"`
	Hash []byte `json:"hash"`
}

// Mark is the request's; nil for one without a name.
func (r *Request) Mark() *Mark {
	if r == nil {
		return nil
	}
	return &Mark{Of: r.By.Scope(), Key: r.Key, Hash: r.Hash}
}

// Claims are the index rows that come with a mark.
func (m *Mark) Claims(at time.Time) []journal.IndexChange {
	if m == nil {
		return nil
	}
	var rows []journal.IndexChange
	for _, key := range m.claims(at) {
		rows = append(rows, journal.IndexChange{Op: journal.Claim, Kind: claimKind, Key: key})
	}
	return rows
}

// claims are the keys of a name on the day of an instant, and on the day after it. They tell nothing of the name.
func (m *Mark) claims(at time.Time) (keys [2]string) {
	for i := range keys {
		day := at.Add(time.Duration(i)*claimDay).UnixMilli() / claimDay.Milliseconds()
		hash := sha256.Sum256(fmt.Appendf(nil, "%q %q %d", m.Of, m.Key, day))
		keys[i] = hex.EncodeToString(hash[:])
	}
	return keys
}

// Found is a request that was carried out before. Its answer is what the stream said up to the version.
type Found struct {
	Stream  string
	Version uint64
	// AppendID is that of the request, of which Stream may have other records.
	AppendID string
}

// Before finds the request from before; nil: there was none, or this one has no name. Another request of this name is a *lock.Error of
// the kind Mismatch. What it has led to may be somebody else's (lock.Caller.ScopeBefore): whoever answers from it looks at the
// caller's rights, and calls Disown when there are none.
func (r *Request) Before(ctx context.Context, j journal.Journal, now time.Time) (*Found, error) {
	if r == nil {
		return nil, nil
	}
	found, err := r.under(ctx, j, r.By.Scope(), now)
	if old := r.By.ScopeBefore(); old != "" && found == nil && err == nil {
		if found, err = r.under(ctx, j, old, now); errors.Is(err, lock.ErrKeyReused) {
			err = nil // by another caller, perhaps
		}
	}
	r.Replayed = found != nil
	return found, err
}

// Disown says that what Before has found is nothing of the caller's: the request is carried out.
func (r *Request) Disown() { r.Replayed = false }

// under finds the request among those of a scope.
func (r *Request) under(ctx context.Context, j journal.Journal, scope string, now time.Time) (*Found, error) {
	m := Mark{Of: scope, Key: r.Key, Hash: r.Hash}
	for _, key := range m.claims(now) {
		stream, err := j.Claimed(ctx, claimKind, key)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		if stream != "" {
			return m.in(ctx, j, stream)
		}
	}
	return nil, nil
}

// in finds the request in the stream that has claimed its name: the last one, since a stream may have taken an old name again.
func (m *Mark) in(ctx context.Context, j journal.Journal, stream string) (found *Found, err error) {
	var same bool
	for r, err := range journal.All(ctx, j, stream, 0) {
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		it, err := Read(r)
		if err != nil {
			return nil, err
		}
		if it == nil || it.Of != m.Of || it.Key != m.Key {
			continue
		}
		same = bytes.Equal(it.Hash, m.Hash)
		if found = it.found(r); found.Stream == stream {
			found.AppendID = r.AppendID
		}
	}
	switch {
	case found == nil:
		return nil, fmt.Errorf("named: %s has claimed a name and does not tell of it", stream)
	case !same:
		return nil, lock.ErrKeyReused
	}
	return found, nil
}

// Remembered is the record of a request that has changed nothing. It has a stream of its own, so that asking often makes no other
// stream longer.
type Remembered struct {
	At time.Time `json:"at"`
	Mark
	Stream  string `json:"stream,omitempty"` // where its answer is; empty: in the stream of the record, before it
	Version uint64 `json:"version,omitempty"`
}

func (m *Remembered) found(r *journal.Record) *Found {
	if m.Stream != "" {
		return &Found{Stream: m.Stream, Version: m.Version}
	}
	return &Found{Stream: r.Stream, Version: r.Version}
}

// Read reads a mark from whatever stream's record; nil when the record is none.
func Read(r *journal.Record) (*Remembered, error) {
	if r.Type != RecordType {
		return nil, nil
	}
	m := new(Remembered)
	decode := json.Unmarshal // the rest of the record is for those whose stream it is
	if strings.HasPrefix(r.Stream, StreamPrefix) {
		decode = lock.Decode
	}
	if err := decode(r.Data, m); err != nil {
		return nil, fmt.Errorf("named: %s, version %d: %w", r.Stream, r.Version, err)
	}
	return m, nil
}

// Join adds the request's mark to the append of what the request leads to.
func (r *Request) Join(a *journal.Append, now time.Time) error {
	if r == nil {
		return nil
	}
	return r.join(a, Remembered{At: now, Mark: *r.Mark()})
}

// Keep remembers a request that has changed nothing, and whose answer is what a stream says up to a version. Whoever was faster with
// the name makes it fail with journal.ErrConflict or a *journal.ClaimError.
func (r *Request) Keep(ctx context.Context, j journal.Journal, now time.Time, stream string, version uint64) error {
	if r == nil {
		return nil
	}
	m := Remembered{At: now, Mark: *r.Mark(), Stream: stream, Version: version}
	a := journal.Append{Stream: StreamPrefix + m.claims(now)[0], ID: uuid.NewString()}
	if err := r.join(&a, m); err != nil {
		return err
	}
	if _, err := journal.Do(ctx, j, a); err != nil {
		return fmt.Errorf("named: %w", err)
	}
	return nil
}

func (r *Request) join(a *journal.Append, m Remembered) error {
	m.At = m.At.UTC().Truncate(time.Millisecond)
	data, err := json.Marshal(&m)
	if err != nil {
		return fmt.Errorf("named: %w", err)
	}
	a.Records = append(a.Records, journal.NewRecord{Type: RecordType, Time: m.At, Data: data})
	a.Index = append(a.Index, m.Claims(m.At)...)
	return nil
}
