package lock

import (
	"cmp"
	"slices"
	"time"
)

// A lock remembers the answers to its requests to open for 24 hours, up to 4,096 of them, and to at least the last 16.
// The latter is what a lock that nobody opens any more weighs for ever, so it is small.
const (
	requestsKept    = 16
	requestsMax     = 4096
	requestsKeptFor = 24 * time.Hour
)

// request is one accepted request to open, with what became of it.
type request struct {
	ID               RequestID `json:"id"`
	CommandID        CommandID `json:"commandId"`
	TempKeyID        TempKeyID `json:"tempKeyUuid,omitempty"`
	By               string    `json:"by,omitempty"`
	OrgID            OrgID     `json:"orgId,omitempty"`
	UserID           UserID    `json:"userId,omitempty"`
	Why              string    `json:"why,omitempty"` // the reason that the caller gave
	At               time.Time `json:"at"`
	Deadline         time.Time `json:"deadline"` // of its command
	Version          uint64    `json:"version"`  // of its LockOpenRequested
	Offline          bool      `json:"offline,omitempty"`
	Joined           bool      `json:"joined,omitempty"`
	Outcome          Outcome   `json:"outcome"`
	Reason           string    `json:"reason,omitempty"`
	Message          string    `json:"message,omitempty"`
	DeadlineEnforced bool      `json:"deadlineEnforced,omitempty"`
	UseReturned      bool      `json:"useReturned,omitempty"`
	KeyDeleted       bool      `json:"keyDeleted,omitempty"` // while it was on its way
}

// requestLog holds the latest requests, oldest first: those that may still change, and those that have ended, which are
// nearly all, as bytes.
type requestLog struct {
	open  []*request
	ended archive

	holders map[string]int // who has how many of them, while the log is full
}

func (l *requestLog) len() int { return len(l.open) + l.ended.len() }

// find returns a request; one that has ended as a copy.
func (l *requestLog) find(id RequestID) *request {
	for _, r := range l.open {
		if r.ID == id {
			return r
		}
	}
	return l.ended.find(id)
}

// add appends a request and forgets the oldest ones. It looks at no clock but the event's, so that a replay forgets the same ones.
func (l *requestLog) add(r *request) {
	l.open = append(l.open, r)
	l.counted(r, 1)
	defer l.recount()
	for l.len() > requestsKept {
		inArchive := l.ended.len() > 0
		var version uint64
		var at time.Time
		if inArchive {
			version, at = l.ended.first()
		}
		if len(l.open) > 0 && (!inArchive || l.open[0].Version < version) {
			inArchive, at = false, l.open[0].At
		}
		if l.len() <= requestsMax && r.At.Sub(at) <= requestsKeptFor {
			return
		}
		if inArchive {
			l.countedEntry(0, -1)
			l.ended.drop()
		} else {
			l.counted(l.open[0], -1)
			l.open = slices.Delete(l.open, 0, 1)
		}
	}
}

// end puts a request away that will not change any more, but for the return of its use. The log may have forgotten it.
func (l *requestLog) end(r *request) {
	i := slices.Index(l.open, r)
	if i < 0 {
		return
	}
	l.ended.add(r)
	if l.open = slices.Delete(l.open, i, i+1); len(l.open) == 0 {
		l.open = nil
	}
}

// giveBack notes that the use of a request came back.
func (l *requestLog) giveBack(id RequestID, command CommandID) {
	for _, r := range l.open {
		if r.ID == id && r.CommandID == command {
			r.UseReturned = true
		}
	}
	l.ended.giveBack(id, command)
}

// appendJSON writes all of them as one list, in the order of their versions.
func (l *requestLog) appendJSON(dst []byte) (_ []byte, err error) {
	all := append(l.ended.all(), l.open...)
	slices.SortStableFunc(all, func(a, b *request) int { return cmp.Compare(a.Version, b.Version) })
	dst = append(slices.Grow(dst, len(all)*recordSize), '[')
	for i, r := range all {
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst, err = r.appendJSON(dst); err != nil {
			return nil, err
		}
	}
	return append(dst, ']'), nil
}

// load takes what appendJSON wrote. Which of them have ended is for the state to say.
func (l *requestLog) load(list []*request) error {
	if slices.Contains(list, nil) {
		return errNull
	}
	l.open = list
	return nil
}

// endBut puts all requests away that are not among those on their way.
func (l *requestLog) endBut(onTheirWay map[*request]bool) {
	all := l.open
	l.open = nil
	for _, r := range all {
		if onTheirWay[r] {
			l.open = append(l.open, r)
		} else {
			l.ended.add(r)
		}
	}
	l.ended.trim()
	l.recount()
}
