package api

import (
	"bufio"
	"cmp"
	"crypto/rand"
	"errors"
	"net/http"
	"sync"

	"github.com/google/uuid"

	"github.com/latchkey/latchkey/lock"
)

// TempKeysResult tells what became of the keys of a bulk call.
type TempKeysResult struct {
	Success   bool            `json:"success"`
	Succeeded int             `json:"succeeded"`
	Failed    int             `json:"failed"`
	Items     []TempKeyResult `json:"items"`
}

// TempKeyResult tells what became of one of them.
type TempKeyResult struct {
	LockID      int64          `json:"lockId"`
	Status      int            `json:"status"`
	TempKeyUUID lock.TempKeyID `json:"tempKeyUuid,omitempty"`
	URL         string         `json:"url,omitempty"`
	Version     uint64         `json:"version,omitempty"`
	Changed     *bool          `json:"changed,omitempty"`
	Reason      string         `json:"reason,omitempty"`
	Message     string         `json:"message,omitempty"`
	Field       string         `json:"field,omitempty"`
}

// bulk is one call for many keys.
type bulk struct {
	server *server
	r      *http.Request
	items  []TempKeyResult
	keys   []lock.TempKeyID
	locks  []lock.ID                  // in the order in which they are named first
	of     map[lock.ID][]int          // the items of each
	first  map[lock.TempKeyID]lock.ID // the lock that a new key is named for first; nil: the keys are there
	links  string                     // what the link to each key begins with
}

var errBulkSize = badRequest("bulk-size-invalid", "items", "items may be 1 to 500")

func (s *server) newBulk(r *http.Request, n int) (*bulk, error) {
	if n < 1 || n > lock.MaxTempKeysAtOnce {
		return nil, errBulkSize
	}
	s.owe(r, n/bulkPerToken)
	if err := s.begin(r); err != nil {
		return nil, err
	}
	return &bulk{
		server: s, r: r, items: make([]TempKeyResult, n), keys: make([]lock.TempKeyID, n), of: make(map[lock.ID][]int, n), links: s.link(r, ""),
	}, nil
}

// CreateTempKeys creates many keys.
func (s *server) CreateTempKeys(w http.ResponseWriter, r *http.Request) {
	var body CreateTempKeysRequest
	if err := s.readBody(w, r, &body); err != nil {
		s.fail(w, r, err)
		return
	}
	b, err := s.newBulk(r, len(body.Items))
	if err != nil {
		s.fail(w, r, err)
		return
	}
	b.first = make(map[lock.TempKeyID]lock.ID, len(body.Items))
	keys := make([]lock.CreateTempKey, len(body.Items))
	random := bufio.NewReaderSize(rand.Reader, len(body.Items)*len(uuid.UUID{})) // asks the kernel once, and not for each key
	for i := range body.Items {
		item := &body.Items[i]
		if item.err != nil {
			b.add(i, item.lockID, "", item.err)
			continue
		}
		if item.value.TempKey.TempKeyUuid == nil {
			made := uuid.Must(uuid.NewRandomFromReader(random)).String()
			item.value.TempKey.TempKeyUuid = &made
		}
		keys[i], err = createTempKey(callerOf(r), &item.value.TempKey)
		b.add(i, item.value.LockId, keys[i].UUID, err)
	}
	b.run(func(items []int) lock.Command {
		c := &lock.CreateTempKeys{By: callerOf(r), Keys: make([]lock.CreateTempKey, 0, len(items))}
		for _, i := range items {
			c.Keys = append(c.Keys, keys[i])
		}
		return c
	})
	b.answer(w)
}

// UpdateTempKeys changes many keys.
func (s *server) UpdateTempKeys(w http.ResponseWriter, r *http.Request) {
	var body UpdateTempKeysRequest
	if err := s.readBody(w, r, &body); err != nil {
		s.fail(w, r, err)
		return
	}
	b, err := s.newBulk(r, len(body.Items))
	if err != nil {
		s.fail(w, r, err)
		return
	}
	updates := make([]lock.UpdateTempKey, len(body.Items))
	for i := range body.Items {
		item := &body.Items[i]
		if item.err != nil {
			b.add(i, item.lockID, "", item.err)
			continue
		}
		updates[i], err = updateTempKey(callerOf(r), &item.value.Changes)
		b.add(i, item.value.LockId, updates[i].TempKeyID, err)
	}
	b.run(func(items []int) lock.Command {
		c := &lock.UpdateTempKeys{By: callerOf(r), Updates: make([]lock.UpdateTempKey, 0, len(items))}
		for _, i := range items {
			c.Updates = append(c.Updates, updates[i])
		}
		return c
	})
	b.answer(w)
}

// add gives an item to its lock, unless it is wrong in itself.
func (b *bulk) add(i int, lockID int64, key lock.TempKeyID, err error) {
	item := &b.items[i]
	item.LockID = lockID
	id := lock.ID(lockID)
	b.keys[i] = key
	if err == nil && (id < 1 || id > lock.MaxID) {
		err = badRequest("lock-id-invalid", "lockId", "lockId must be a whole number from 1 to 9007199254740991")
	}
	if err != nil {
		b.fail(i, err)
		return
	}
	if b.first != nil {
		if other, named := b.first[key]; named && other != id {
			b.fail(i, lock.ErrTempKeyTwice) // neither of the locks knows of the other, and either may be faster
			return
		}
		b.first[key] = id
	}
	if b.of[id] == nil {
		b.locks = append(b.locks, id)
	}
	b.of[id] = append(b.of[id], i)
}

// run does the items of each lock at once, and those of all locks side by side, so that their appends share the journal's
// commits. There are as many locks as items at most.
func (b *bulk) run(command func(items []int) lock.Command) {
	var work sync.WaitGroup
	for _, id := range b.locks {
		work.Go(func() { b.runLock(id, b.of[id], command, false) })
	}
	work.Wait()
}

// runLock does items of one lock: all of them, or one by itself.
func (b *bulk) runLock(id lock.ID, items []int, command func(items []int) lock.Command, alone bool) {
	var done []lock.TempKeyDone
	c := command(items)
	if alone {
		c = partOf(b.r, c, items[0])
	}
	reply, err := ask[*lock.TempKeysDone](b.r.Context(), b.server, id, c)
	if err == nil {
		done = reply.Items
	}
	var rejected *lock.Error
	if errors.As(err, &rejected) && rejected.Reason == lock.ReasonTempKeyTaken && len(items) > 1 {
		b.runFree(id, items, command, rejected)
		return
	}
	if err == nil && len(done) != len(items) {
		err = errors.New("api: a lock answered for another number of keys")
	}
	for n, i := range items {
		switch {
		case err != nil:
			b.fail(i, err)
		case done[n].Err != nil:
			b.fail(i, done[n].Err)
		default:
			item, changed := &b.items[i], done[n].Event != nil
			item.Status, item.Version, item.Changed = http.StatusOK, done[n].Version, &changed
			key := cmp.Or(done[n].TempKeyID, b.keys[i]) // the server had made it up when the request came first
			item.TempKeyUUID, item.URL = key, b.links+string(key)
		}
	}
}

// runFree does the items of a lock that refused them all since one of them is, or was, another key. A refusal costs the lock a new
// start, so it is not asked for each: those that are looked up and found taken hear so, and the others are asked for together.
func (b *bulk) runFree(id lock.ID, items []int, command func(items []int) lock.Command, taken *lock.Error) {
	free := make([]int, 0, len(items))
	for _, i := range items {
		gone, err := b.taken(id, b.keys[i])
		switch {
		case err != nil:
			b.fail(i, err)
		case gone:
			b.fail(i, taken)
		default:
			free = append(free, i)
		}
	}
	if traceOf(b.r).named == nil && len(free) < len(items) {
		if len(free) > 0 {
			b.runLock(id, free, command, false)
		}
		return
	}
	for _, i := range free { // each under a name of its own, or because nobody can tell which one it was
		b.runLock(id, []int{i}, command, true)
	}
}

// taken tells whether a new key's UUID is another lock's, or that of a key of this one that was deleted. What a request with a name
// has made is not: it gets the answer of the first time, whatever has become of the key since.
func (b *bulk) taken(id lock.ID, key lock.TempKeyID) (bool, error) {
	holder, err := b.server.Locks.FindTempKey(b.r.Context(), key)
	if err != nil || holder == 0 || holder != id {
		return holder != 0, err
	}
	if traceOf(b.r).named != nil {
		return false, nil
	}
	_, err = b.server.Locks.Do(b.r.Context(), id, &lock.GetTempKey{TempKeyID: key})
	if rejected := (*lock.Error)(nil); errors.As(err, &rejected) && rejected.Kind == lock.NotFound {
		return true, nil
	}
	return false, err
}

func (b *bulk) fail(i int, err error) {
	p := problemOf(b.r, err)
	if p.status == http.StatusInternalServerError {
		b.server.Logger.ErrorContext(b.r.Context(), "a part of a request failed", "error", err, "request_id", traceOf(b.r).requestID, "route", routeOf(b.r))
	}
	item := &b.items[i]
	item.Status, item.Reason, item.Message, item.Field = p.status, p.reason, p.message, p.field
}

func (b *bulk) answer(w http.ResponseWriter) {
	result := TempKeysResult{Items: b.items}
	for i := range b.items {
		if b.items[i].Status == http.StatusOK {
			result.Succeeded++
		} else {
			result.Failed++
		}
	}
	result.Success = result.Failed == 0
	b.server.write(w, b.r, http.StatusOK, &result)
}
