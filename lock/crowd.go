package lock

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"
	"time"
)

// A full log forgets a request for each that it takes. If that were always the oldest, one holder of a link could have it forget
// everybody's, within seconds, and whoever repeats a request would open again. So a key that has requestsShare of them by then
// makes the log forget its own oldest.
//
// The decision is in the event (LockOpenRequested.Forgets): without one, as in records from before this rule, it is the oldest.

// requestsShare is how much of a full log one key may have before its requests take the places of its own.
const requestsShare = requestsMax / 4

// crowd tells the version of the request that a full log forgets for a new one; 0: none, or the oldest.
func (l *requestLog) crowd(key TempKeyID, by string, now time.Time) (version uint64) {
	if l.len() < requestsMax || now.Sub(l.oldest()) > requestsKeptFor {
		return 0
	}
	var space [2][64]byte
	who := appendHolder(space[0][:0], key, by)
	if l.holders[string(who)] < requestsShare {
		return 0
	}
	other := space[1][:0]
	for i := range l.ended.begins {
		if other, version = holderIn(other[:0], l.ended.entry(i)); bytes.Equal(other, who) {
			break
		}
		version = 0
	}
	for _, r := range l.open { // oldest first
		if r.TempKeyID == key && (key != "" || r.By == by) {
			if version == 0 || r.Version < version {
				version = r.Version
			}
			break
		}
	}
	return version
}

// recount keeps the count of who has how many requests while the log is full.
func (l *requestLog) recount() {
	if l.len() < requestsMax {
		l.holders = nil
		return
	}
	if l.holders != nil {
		return
	}
	l.holders = make(map[string]int)
	for i := range l.ended.begins {
		l.countedEntry(i, 1)
	}
	for _, r := range l.open {
		l.counted(r, 1)
	}
}

// counted notes that whoever has made a request has more of them, or fewer.
func (l *requestLog) counted(r *request, more int) {
	if l.holders != nil {
		l.count(holderOf(r), more)
	}
}

// countedEntry does so for the entry i.
func (l *requestLog) countedEntry(i, more int) {
	if l.holders != nil {
		who, _ := holderIn(nil, l.ended.entry(i))
		l.count(who, more)
	}
}

func (l *requestLog) count(who []byte, more int) {
	if l.holders[string(who)] += more; l.holders[string(who)] == 0 {
		delete(l.holders, string(who))
	}
}

// oldest is when the oldest request was made of a log that has some.
func (l *requestLog) oldest() time.Time {
	if l.ended.len() == 0 {
		return l.open[0].At
	}
	version, at := l.ended.first()
	if len(l.open) > 0 && l.open[0].Version < version {
		return l.open[0].At
	}
	return at
}

// forget gives up the request of a version, if it is there.
func (l *requestLog) forget(version uint64) {
	for i, r := range l.open {
		if r.Version == version {
			l.counted(r, -1)
			l.open = slices.Delete(l.open, i, i+1)
			return
		}
	}
	if i := l.ended.place(version); i >= 0 {
		l.countedEntry(i, -1)
		l.ended.remove(i)
	}
}

// appendHolder names who a request is counted for: its key, or whoever has opened without one.
func appendHolder[K, B ~string | ~[]byte](dst []byte, key K, by B) []byte {
	if len(key) > 0 {
		return append(append(dst, 'k'), key...)
	}
	return append(append(dst, 'b'), by...)
}

func holderOf(r *request) []byte { return appendHolder(nil, r.TempKeyID, r.By) }

// holderIn reads who an entry is counted for, and its version. It makes no strings: there are thousands of entries.
func holderIn(dst, entry []byte) (who []byte, version uint64) {
	e := entryReader{rest: entry[1:]}
	e.bytes() // the ID
	version = e.uint()
	for range 2 { // both times
		_, n := binary.Varint(e.rest)
		e.rest = e.rest[n:]
	}
	e.bytes() // the command's ID
	key, by := e.bytes(), e.bytes()
	return appendHolder(dst, key, by), version
}

// place finds the entry of a version; -1: there is none.
func (a *archive) place(version uint64) int {
	i, found := slices.BinarySearchFunc(a.begins, version, func(begin uint32, version uint64) int {
		at, _ := stampIn(a.data[begin-a.begins[0]:])
		return cmp.Compare(at, version)
	})
	if !found {
		return -1
	}
	return i
}

// remove forgets the entry i.
func (a *archive) remove(i int) {
	if i == 0 {
		a.drop()
		return
	}
	size := uint32(len(a.entry(i)))
	at := a.begins[i] - a.begins[0]
	a.data = slices.Delete(a.data, int(at), int(at+size))
	a.begins, a.tags = slices.Delete(a.begins, i, i+1), slices.Delete(a.tags, i, i+1)
	for ; i < len(a.begins); i++ {
		a.begins[i] -= size
	}
}
