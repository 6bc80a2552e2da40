package api

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"net/http"
	"time"

	"github.com/latchkey/latchkey/lock"
)

const (
	maxPageSize     = 500
	defaultPageSize = 100  // of lists over several locks
	maxScanned      = 2000 // keys that are looked at for one page of these, or of collective keys
	listWorkers     = 32   // locks that are asked at a time for one of these
	maxCreator      = 800
)

// KeyOfLock is a temporary key and the lock that it belongs to.
type KeyOfLock struct {
	Key  lock.TempKeyID
	Lock lock.ID
}

// listing is what a caller wants to see, and from where on.
type listing struct {
	only  lock.TempKeyFilter
	scope string // what the list is of
	limit int    // 0: all
	after lock.TempKeyPlace
}

func newListing(scope, status, mode, creator, limit, cursor string) (l listing, err error) {
	l = listing{scope: scope, only: lock.TempKeyFilter{Status: lock.Status(status), AccessMode: lock.AccessMode(mode), CreatedBy: creator}}
	switch l.only.Status {
	case "", lock.StatusValid, lock.StatusExpired, lock.StatusUsedUp, lock.StatusNotYetValid:
	default:
		return l, badRequest("status-invalid", "status", "status must be valid, expired, used-up or not-yet-valid")
	}
	switch l.only.AccessMode {
	case "", lock.Public, lock.UserWhitelist:
	default:
		return l, badRequest("access-mode-invalid", "accessMode", "accessMode must be public or user-whitelist")
	}
	if len(creator) > maxCreator || !plain(creator) {
		return l, badRequest("created-by-invalid", "createdBy", "createdBy must be a name of up to 800 bytes, without control characters")
	}
	if l.limit, err = limitOf(limit, maxPageSize, l.limit); err != nil {
		return l, err
	}
	if cursor != "" {
		err = l.goOn(cursor)
	}
	return l, err
}

// A cursor is where a page ended, and a mark of the list that it is a page of: 8 bytes of its hash, the instant in milliseconds,
// and the UUID. It gives no rights, so that it need not be a secret: whoever makes one up gets what they may see anyway.
const (
	markSize   = 8
	cursorSize = markSize + 8 + 16
)

func (l *listing) mark() []byte {
	h := sha256.New()
	for _, part := range []string{l.scope, string(l.only.Status), string(l.only.AccessMode), l.only.CreatedBy} {
		h.Write(binary.AppendUvarint(nil, uint64(len(part))))
		h.Write([]byte(part))
	}
	return h.Sum(nil)[:markSize]
}

// cursor is for the page after a place.
func (l *listing) cursor(p lock.TempKeyPlace) string {
	data := l.mark()
	ms := int64(0)
	if !p.CreatedAt.IsZero() {
		ms = p.CreatedAt.UnixMilli()
	}
	data = binary.BigEndian.AppendUint64(data, uint64(ms))
	id, _ := hex.DecodeString(string(p.UUID[:8] + p.UUID[9:13] + p.UUID[14:18] + p.UUID[19:23] + p.UUID[24:])) // a key has a UUID
	return base64.RawURLEncoding.EncodeToString(append(data, id...))
}

var errCursor = badRequest("cursor-invalid", "cursor", "cursor must be the nextCursor of a page of the same list, with the same filters")

func (l *listing) goOn(cursor string) error {
	data, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil || len(data) != cursorSize || string(data[:markSize]) != string(l.mark()) {
		return errCursor
	}
	if ms := int64(binary.BigEndian.Uint64(data[markSize:])); ms != 0 {
		l.after.CreatedAt = time.UnixMilli(ms).UTC()
		if year := l.after.CreatedAt.Year(); year < 1 || year > 9999 {
			return errCursor
		}
	}
	id := hex.EncodeToString(data[markSize+8:])
	l.after.UUID = lock.TempKeyID(id[:8] + "-" + id[8:12] + "-" + id[12:16] + "-" + id[16:20] + "-" + id[20:])
	return nil
}

// ListTempKeys lists keys of the lock.
func (s *server) ListTempKeys(w http.ResponseWriter, r *http.Request, id LockId, params ListTempKeysParams) {
	lockID, err := lock.ParseID(id)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	l, err := newListing("lock/"+lockID.String(), params.Status, params.AccessMode, params.CreatedBy, params.Limit, params.Cursor)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	list, next, err := s.pageOfLock(r, &l, lockID)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.writeTempKeys(w, r, []*lock.TempKeyList{list}, next)
}

// pageOfLock asks a lock for its keys.
func (s *server) pageOfLock(r *http.Request, l *listing, id lock.ID) (list *lock.TempKeyList, next string, err error) {
	list, err = ask[*lock.TempKeyList](r.Context(), s, id, &lock.ListTempKeys{By: callerOf(r), Only: l.only, After: l.after, Limit: l.limit})
	if err != nil {
		return nil, "", err
	}
	s.owe(r, len(list.TempKeys)/listedPerToken)
	if n := len(list.TempKeys); list.More && n > 0 {
		last := &list.TempKeys[n-1]
		next = l.cursor(lock.TempKeyPlace{CreatedAt: last.CreatedAt, UUID: last.UUID})
	}
	return list, next, nil
}

func (s *server) writeTempKeys(w http.ResponseWriter, r *http.Request, lists []*lock.TempKeyList, next string) {
	b := newBuffer()
	defer recycle(b)
	begun := false
	err := writeTempKeys(b, lists, s.link(r, ""), next, func() error {
		if !begun {
			begun = true
			w.Header()["Content-Type"] = mediaJSON
			w.WriteHeader(http.StatusOK)
		}
		_, err := w.Write(b.Bytes())
		b.Reset()
		return err
	})
	switch {
	case err != nil: // the caller has left
	case begun:
		_, _ = w.Write(b.Bytes())
	default:
		writeBytes(w, http.StatusOK, mediaJSON, b.Bytes())
	}
}
