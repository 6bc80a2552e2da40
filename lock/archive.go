package lock

import (
	"bytes"
	"encoding/binary"
	"iter"
	"slices"
	"time"
)

// archive holds the requests that have ended, in the order of their versions. A lock that is opened a hundred times a day
// remembers a hundred of them, and most locks do nothing most of the time: so they lie in one piece of memory, a quarter
// of what objects and a map would take. A search runs over one byte of each, which a processor does many at a time.
type archive struct {
	data   []byte   // the entries, one after the other
	begins []uint32 // where each begins; data itself begins at the first of them, since what was there before may be gone
	tags   []byte   // a byte of the hash of each one's ID

	dropped int    // bytes before data that are still in memory, at most
	newest  uint64 // the version of the last entry, so that nobody has to look for it there
}

func (a *archive) len() int { return len(a.begins) }

// entry gives the bytes of the entry i.
func (a *archive) entry(i int) []byte {
	if i+1 < len(a.begins) {
		return a.data[a.begins[i]-a.begins[0] : a.begins[i+1]-a.begins[0]]
	}
	return a.data[a.begins[i]-a.begins[0]:]
}

// add puts an entry where its version belongs, which nearly always is the end.
func (a *archive) add(r *request) {
	i := a.len()
	if a.newest > r.Version {
		for i > 0 {
			if version, _ := stampIn(a.entry(i - 1)); version <= r.Version {
				break
			}
			i--
		}
	}
	if i == a.len() {
		a.newest = r.Version
	}
	at := uint32(len(a.data))
	if i < a.len() {
		at = a.begins[i] - a.begins[0]
	}
	var first uint32
	if a.len() > 0 {
		first = a.begins[0]
	}
	later, room := uint32(len(a.data))-at, cap(a.data)
	if later == 0 {
		a.data = appendEntry(a.data, r)
	} else {
		a.data = slices.Insert(a.data, int(at), appendEntry(nil, r)...)
	}
	if cap(a.data) > room {
		a.dropped = 0 // it lies in another place now
	}
	size := uint32(len(a.data)) - at - later
	a.begins = slices.Insert(a.begins, i, first+at)
	a.tags = slices.Insert(a.tags, i, tagOf(r.ID))
	for i++; i < len(a.begins); i++ {
		a.begins[i] += size
	}
}

// first tells the version and time of the oldest entry.
func (a *archive) first() (version uint64, at time.Time) { return stampIn(a.data) }

// drop forgets the oldest entry.
func (a *archive) drop() {
	size := len(a.entry(0))
	a.data, a.begins, a.tags = a.data[size:], a.begins[1:], a.tags[1:]
	if a.dropped += size; a.dropped > len(a.data) {
		a.trim()
	}
}

// trim gives up the room of what was dropped, and for what is to come.
func (a *archive) trim() {
	a.data, a.begins, a.tags = slices.Clip(slices.Clone(a.data)), slices.Clip(slices.Clone(a.begins)), slices.Clip(slices.Clone(a.tags))
	a.dropped = 0
}

// find returns the newest with an ID.
func (a *archive) find(id RequestID) *request {
	for entry := range a.search(id) {
		return requestIn(entry)
	}
	return nil
}

// giveBack marks all with an ID that the command was for.
func (a *archive) giveBack(id RequestID, command CommandID) {
	for entry := range a.search(id) {
		if requestIn(entry).CommandID == command {
			entry[0] |= flagReturned
		}
	}
}

// search gives the entries with an ID, from the newest to the oldest.
func (a *archive) search(id RequestID) iter.Seq[[]byte] {
	return func(yield func(entry []byte) bool) {
		tag := tagOf(id)
		for i := bytes.LastIndexByte(a.tags, tag); i >= 0; i = bytes.LastIndexByte(a.tags[:i], tag) {
			if entry := a.entry(i); hasID(entry, id) && !yield(entry) {
				return
			}
		}
	}
}

func (a *archive) all() (all []*request) {
	for i := range a.begins {
		all = append(all, requestIn(a.entry(i)))
	}
	return all
}

// tagOf is a byte of the ID's hash by FNV-1a.
func tagOf(id RequestID) byte {
	h := uint32(2166136261)
	for i := range len(id) {
		h = (h ^ uint32(id[i])) * 16777619
	}
	return byte(h >> 24)
}

// The flags are the first byte of an entry. The ID comes next, then the version and the time: they are read alone.
const (
	flagOffline = 1 << iota
	flagJoined
	flagEnforced
	flagReturned
	flagDeleted
)

func appendEntry(b []byte, r *request) []byte {
	flags := flagged(flagOffline, r.Offline) | flagged(flagJoined, r.Joined) | flagged(flagEnforced, r.DeadlineEnforced) |
		flagged(flagReturned, r.UseReturned) | flagged(flagDeleted, r.KeyDeleted)
	b = append(b, flags)
	b = append(binary.AppendUvarint(b, uint64(len(r.ID))), r.ID...)
	b = binary.AppendUvarint(b, r.Version)
	b = binary.AppendVarint(b, r.At.UnixMilli())
	b = binary.AppendVarint(b, r.Deadline.UnixMilli()-r.At.UnixMilli())
	for _, s := range [...]string{
		string(r.CommandID), string(r.TempKeyID), r.By, string(r.OrgID), string(r.UserID), r.Why, string(r.Outcome), r.Reason, r.Message,
	} {
		b = append(binary.AppendUvarint(b, uint64(len(s))), s...)
	}
	return b
}

func flagged(mask byte, set bool) byte {
	if set {
		return mask
	}
	return 0
}

// hasID compares without making a string.
func hasID(entry []byte, id RequestID) bool {
	e := entryReader{rest: entry[1:]}
	return string(e.bytes()) == string(id)
}

func stampIn(entry []byte) (version uint64, at time.Time) {
	e := entryReader{rest: entry[1:]}
	e.bytes()
	return e.uint(), e.time(0)
}

func requestIn(entry []byte) *request {
	flags, e := entry[0], entryReader{rest: entry[1:], whole: string(entry)}
	r := &request{
		Offline: flags&flagOffline != 0, Joined: flags&flagJoined != 0, DeadlineEnforced: flags&flagEnforced != 0,
		UseReturned: flags&flagReturned != 0, KeyDeleted: flags&flagDeleted != 0,
	}
	r.ID, r.Version = RequestID(e.text()), e.uint()
	r.At = e.time(0)
	r.Deadline = e.time(r.At.UnixMilli())
	r.CommandID, r.TempKeyID = CommandID(e.text()), TempKeyID(e.text())
	r.By, r.OrgID, r.UserID, r.Why = e.text(), OrgID(e.text()), UserID(e.text()), e.text()
	r.Outcome, r.Reason, r.Message = Outcome(e.text()), e.text(), e.text()
	return r
}

// entryReader reads an entry from its front.
type entryReader struct {
	rest  []byte
	whole string // the entry; its texts are parts of this one copy
}

func (e *entryReader) uint() uint64 {
	v, n := binary.Uvarint(e.rest)
	e.rest = e.rest[n:]
	return v
}

// time reads an instant that is told by its distance from another one.
func (e *entryReader) time(from int64) time.Time {
	v, n := binary.Varint(e.rest)
	e.rest = e.rest[n:]
	return time.UnixMilli(from + v).UTC()
}

func (e *entryReader) bytes() []byte {
	n := e.uint()
	b := e.rest[:n]
	e.rest = e.rest[n:]
	return b
}

func (e *entryReader) text() string {
	n := len(e.bytes())
	end := len(e.whole) - len(e.rest)
	return e.whole[end-n : end]
}
