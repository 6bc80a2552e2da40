package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/latchkey/latchkey/audit"
	"github.com/latchkey/latchkey/lock"
	"github.com/latchkey/latchkey/tenant"
)

// History is what happened to organisations.
type History interface {
	// Organization returns what happened to an organisation in some records after a position of the journal.
	Organization(ctx context.Context, org lock.OrgID, after uint64) (audit.Page, error)
}

const (
	maxExports      = 4   // at a time on one node: each reads as fast as the journal gives
	maxOwnExports   = 2   // of these of one organisation or user, so that nobody keeps the others from theirs
	exportPage      = 500 // events of a lock that are read at a time
	maxCursorLength = 64
	mediaNDJSON     = "application/x-ndjson"
)

// ExportedEvent is a line of an export.
type ExportedEvent struct {
	Cursor   string `json:"cursor"`
	Position uint64 `json:"position,omitempty"`
	EventRecord
}

// ExportEnd is its last line.
type ExportEnd struct {
	Cursor   string `json:"cursor"`
	Complete bool   `json:"complete"`
}

// The kinds of cursors. Those of a lock count its versions, those of an organisation the positions of the journal.
const (
	versionCursor  = "v"
	positionCursor = "p"
)

// cursors are those of one export: of a kind, with a mark of what is exported.
type cursors struct{ kind, mark string }

func cursorsOf(kind, stream string) cursors {
	h := sha256.Sum256([]byte(stream))
	return cursors{kind, hex.EncodeToString(h[:markSize])}
}

func (c cursors) at(n uint64) string {
	return base64.RawURLEncoding.EncodeToString([]byte(c.kind + strconv.FormatUint(n, 10) + "." + c.mark))
}

// parse reads a cursor. One without a mark is from before there were any, and may be of anything of its kind.
func (c cursors) parse(cursor string) (uint64, error) {
	if cursor == "" {
		return 0, nil
	}
	text, err := base64.RawURLEncoding.DecodeString(cursor[:min(len(cursor), maxCursorLength)])
	number, ok := strings.CutPrefix(string(text), c.kind)
	number, mark, marked := strings.Cut(number, ".")
	n, notNumber := strconv.ParseUint(number, 10, 63)
	if err != nil || !ok || notNumber != nil || marked && mark != c.mark {
		return 0, badRequest("cursor-invalid", "cursor", "cursor must be one of an earlier export of the same thing")
	}
	return n, nil
}

// part is some lines of an export, the place after them, and whether they are the last ones.
type part struct {
	lines []ExportedEvent
	until uint64
	end   bool
}

// ExportLockEvents tells all that happened to a lock, as far as the caller may know it.
func (s *server) ExportLockEvents(w http.ResponseWriter, r *http.Request, id LockId, params ExportLockEventsParams) {
	i, err := s.info(r, id)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	places := cursorsOf(versionCursor, streamOf(i.ID))
	after, err := places.parse(params.Cursor)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.export(w, r, places, max(after, i.EventsAfter), func(ctx context.Context, after uint64) (part, error) {
		events, total, err := s.Locks.Events(ctx, i.ID, after, exportPage)
		if err != nil {
			return part{}, err
		}
		p := part{until: after, lines: make([]ExportedEvent, len(events))}
		for n, e := range events {
			p.until = e.Version
			p.lines[n] = ExportedEvent{Cursor: places.at(e.Version), EventRecord: eventRecord(callerOf(r), i.ID, e)}
		}
		p.end = p.until >= total
		return p, nil
	})
}

var errNoOrganization = &lock.Error{Kind: lock.NotFound, Reason: "organization-not-found", Message: "There is no such organisation, or the credentials are another's."}

// ExportOrganizationEvents tells all that happened to an organisation.
func (s *server) ExportOrganizationEvents(w http.ResponseWriter, r *http.Request, orgID string, params ExportOrganizationEventsParams) {
	org := lock.OrgID(orgID)
	if err := s.mayExport(r, org); err != nil {
		s.fail(w, r, err)
		return
	}
	places := cursorsOf(positionCursor, tenant.StreamPrefix+orgID)
	after, err := places.parse(params.Cursor)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.export(w, r, places, after, func(ctx context.Context, after uint64) (part, error) {
		page, err := s.History.Organization(ctx, org, after)
		if err != nil {
			return part{}, fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		p := part{until: page.Until, end: page.End, lines: make([]ExportedEvent, len(page.Events))}
		for n, e := range page.Events {
			p.lines[n] = ExportedEvent{Cursor: places.at(e.Position), Position: e.Position, EventRecord: EventRecord{
				AggregateType: e.AggregateType, AggregateId: e.AggregateID, Version: int64(e.Version), Type: e.Type,
				Timestamp: lock.Instant(e.At), OrgId: string(e.OrgID), Event: e.Data, By: e.By, ByType: e.ByType, Via: e.Via, From: e.From,
			}}
		}
		return p, nil
	})
}

// mayExport rejects those of another organisation, and an organisation that nobody made: whoever has a key of one knows that it is there.
func (s *server) mayExport(r *http.Request, org lock.OrgID) error {
	switch c := callerOf(r); {
	case c.OrgID == org:
		return nil
	case !c.Super:
		return errNoOrganization
	}
	_, err := s.APIKeys.Organization(r.Context(), org)
	return err
}

// export writes parts as they are read, one in memory at a time, until there are no more or the request's time is nearly
// over. Its last line tells which, so that an answer that was cut off cannot be taken for a whole one.
func (s *server) export(w http.ResponseWriter, r *http.Request, places cursors, after uint64, next func(context.Context, uint64) (part, error)) {
	end := s.beginExport(r)
	if end == nil {
		s.fail(w, r, ErrBusy)
		return
	}
	defer end()
	p, err := next(r.Context(), after)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	deadline, _ := r.Context().Deadline()
	enough := deadline.Add(-s.RequestTimeout / 4)
	c := http.NewResponseController(w)
	_ = c.SetWriteDeadline(deadline) // a slow reader does not keep others waiting; a writer in memory has no deadline
	w.Header().Set("Content-Type", mediaNDJSON)
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return
	}
	b := newBuffer()
	defer recycle(b)
	for ; ; p, err = next(r.Context(), p.until) {
		last := p.end || time.Now().After(enough)
		if err == nil {
			err = writePart(w, b, places, &p, last)
		}
		if err != nil {
			s.Logger.WarnContext(r.Context(), "an export was cut off", "error", err, "request_id", traceOf(r).requestID, "route", routeOf(r))
			panic(http.ErrAbortHandler) // the caller must not take it for whole
		}
		if last {
			return
		}
		_ = c.Flush()
	}
}

// beginExport gives what ends an export, or nil when there are too many. The operator is nobody's organisation, and has a place that no
// organisation can take.
func (s *server) beginExport(r *http.Request) func() {
	end := s.exports.take(callerOf(r))
	if end == nil && callerOf(r).Super {
		end = s.operatorExports.take(callerOf(r))
	}
	return end
}

// writePart writes the lines of a part, and after the last part that we give the line that ends an export.
func writePart(w http.ResponseWriter, b *bytes.Buffer, places cursors, p *part, last bool) error {
	b.Reset()
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	for i := range p.lines {
		if err := e.Encode(&p.lines[i]); err != nil {
			return err
		}
	}
	if last {
		if err := e.Encode(ExportEnd{places.at(p.until), p.end}); err != nil {
			return err
		}
	}
	_, err := w.Write(b.Bytes())
	return err
}
