package api

import (
	"bytes"
	"encoding/json"
	"net/http"

	"github.com/latchkey/latchkey/lock"
)

// maxUsualPage is what a page of events may have, in bytes, to be an answer like others.
const maxUsualPage = 2 * maxPooledBuffer

// writeEventPage answers with a page of a lock's events that ends with the version last. The first of them are there already, and usually
// these are all. Events may be so large that they are not: then they are read and written some at a time. A page that is large takes the
// place of an export, since otherwise nothing would bound what callers who do not read make us hold.
func (s *server) writeEventPage(w http.ResponseWriter, r *http.Request, id lock.ID, answer *EventPage, events []Event, last uint64) {
	answer.Events = eventRecords(callerOf(r), id, events)
	whole := reached(events, last)
	b := newBuffer()
	defer recycle(b)
	if whole {
		if err := encode(b, answer); err != nil {
			s.fail(w, r, err)
			return
		}
		if b.Len() <= maxUsualPage {
			writeBytes(w, http.StatusOK, mediaJSON, b.Bytes())
			return
		}
	}
	end := s.beginExport(r)
	if end == nil {
		s.fail(w, r, ErrBusy)
		return
	}
	defer end()
	if whole {
		writeBytes(w, http.StatusOK, mediaJSON, b.Bytes())
		return
	}
	if err := s.writeEventParts(w, r, id, answer, events, last); err != nil {
		s.Logger.WarnContext(r.Context(), "a page of events was cut off", "error", err, "request_id", traceOf(r).requestID, "route", routeOf(r))
		panic(http.ErrAbortHandler) // the caller must not take it for whole
	}
}

func (s *server) writeEventParts(w http.ResponseWriter, r *http.Request, id lock.ID, answer *EventPage, events []Event, last uint64) error {
	records := answer.Events
	answer.Events = []EventRecord{}
	frame, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	before, after, _ := bytes.Cut(frame, []byte(`"events":[]`)) // all other fields are numbers
	if deadline, ok := r.Context().Deadline(); ok {
		_ = http.NewResponseController(w).SetWriteDeadline(deadline) // a writer in memory has none
	}
	w.Header()["Content-Type"] = mediaJSON
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return nil
	}
	b := newBuffer()
	defer recycle(b)
	b.Write(append(before, `"events":[`...))
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	for written := 0; ; {
		for i := range records {
			if written++; written > 1 {
				b.WriteByte(',')
			}
			if err := e.Encode(&records[i]); err != nil {
				return err
			}
		}
		if reached(events, last) {
			b.Write(append(append([]byte(`]`), after...), '\n'))
			_, err := w.Write(b.Bytes())
			return err
		}
		if _, err := w.Write(b.Bytes()); err != nil {
			return err
		}
		b.Reset()
		from := events[len(events)-1].Version
		if events, _, err = s.Locks.Events(r.Context(), id, from, int(last-from)); err != nil {
			return err
		}
		records = eventRecords(callerOf(r), id, events)
	}
}

// reached tells whether the events go to the version last, or there are no more.
func reached(events []Event, last uint64) bool {
	return len(events) == 0 || events[len(events)-1].Version >= last
}

func eventRecords(c lock.Caller, id lock.ID, events []Event) []EventRecord {
	records := make([]EventRecord, len(events))
	for n, e := range events {
		records[n] = eventRecord(c, id, e)
	}
	return records
}
