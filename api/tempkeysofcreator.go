package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"github.com/latchkey/latchkey/lock"
)

// ListTempKeysOfCreator lists keys that somebody created: the caller's own of all locks, or those of one lock.
func (s *server) ListTempKeysOfCreator(w http.ResponseWriter, r *http.Request, params ListTempKeysOfCreatorParams) {
	caller := callerOf(r)
	creator := cmp.Or(params.CreatedBy, caller.Name())
	of, err := lockFilter(params.LockId)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	l, err := newListing("creator/"+of.String(), params.Status, params.AccessMode, creator, params.Limit, params.Cursor)
	switch {
	case err != nil:
	case of == 0 && creator != caller.Name() && !caller.Super:
		// Going through all that somebody else has created would tell how many there are, of whatever locks.
		err = badRequest("parameter-missing", "lockId", "lockId is required with the createdBy of somebody else")
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	if l.limit == 0 {
		l.limit = defaultPageSize
	}
	var lists []*lock.TempKeyList
	var next string
	if of == 0 {
		lists, next, err = s.pageOfCreator(r, &l)
	} else if list, after, failed := s.pageOfLock(r, &l, of); !isNotFound(failed, "lock-not-found") {
		lists, next, err = []*lock.TempKeyList{list}, after, failed
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.writeTempKeys(w, r, lists, next)
}

// pageOfCreator goes through the creator's keys until the page is full, there are no more, or enough were looked at. Many of
// them may be hidden from the caller, who must not learn their UUIDs from the cursor either: they open doors.
func (s *server) pageOfCreator(r *http.Request, l *listing) (page []*lock.TempKeyList, next string, err error) {
	after, shown := l.after.UUID, l.after.UUID
	scanned := 0
	defer func() { s.owe(r, scanned/scanPerToken) }()
	for found := 0; scanned < maxScanned; {
		keys, err := s.Locks.TempKeysBy(r.Context(), l.only.CreatedBy, after, maxPageSize)
		if err != nil {
			return nil, "", err
		}
		views, err := s.viewKeys(r, l, keys)
		if err != nil {
			return nil, "", err
		}
		for _, k := range keys {
			if v := views[k.Key]; v != nil {
				if found == l.limit {
					return page, l.cursor(lock.TempKeyPlace{UUID: shown}), nil
				}
				page = append(page, v)
				found++
				shown = k.Key
			}
			after = k.Key
		}
		if scanned += len(keys); len(keys) < maxPageSize {
			return page, "", nil
		}
	}
	return page, l.cursor(lock.TempKeyPlace{UUID: roughly(after, shown)}), nil
}

// roughly gives a place from which a list can go on without telling the UUID at which it stopped: the shortest beginning of that UUID
// that is still beyond what the caller knows, with zeros behind it. Thousands of keys are in between, so that it tells a few digits.
func roughly(at, beyond lock.TempKeyID) lock.TempKeyID {
	const zeros lock.TempKeyID = "00000000-0000-0000-0000-000000000000"
	for n := range len(at) {
		if rough := at[:n] + zeros[n:]; rough > beyond {
			return rough
		}
	}
	return at
}

// ofLock says of an error which lock it is about, when several were asked.
func ofLock(id lock.ID, err error) error {
	var rejection *lock.Error
	if !errors.As(err, &rejection) {
		return fmt.Errorf("lock %s: %w", id, err)
	}
	named := *rejection
	named.Message = fmt.Sprintf("Lock %s: %s", id, rejection.Message)
	return &named
}

// viewKeys asks the locks for their keys. A lock that the caller may not see has none, and no more has one that was handed on.
func (s *server) viewKeys(r *http.Request, l *listing, keys []KeyOfLock) (map[lock.TempKeyID]*lock.TempKeyList, error) {
	byLock := make(map[lock.ID][]lock.TempKeyID)
	for _, k := range keys {
		byLock[k.Lock] = append(byLock[k.Lock], k.Key)
	}
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	var work sync.WaitGroup
	var mu sync.Mutex
	views := make(map[lock.TempKeyID]*lock.TempKeyList) // guarded by mu
	places := make(chan struct{}, listWorkers)
	for id, uuids := range byLock {
		places <- struct{}{}
		work.Go(func() {
			defer func() { <-places }()
			only := l.only
			only.UUIDs = uuids
			list, err := ask[*lock.TempKeyList](ctx, s, id, &lock.ListTempKeys{By: callerOf(r), Only: only})
			var rejected *lock.Error
			if errors.As(err, &rejected) && rejected.Kind == lock.NotFound {
				return
			}
			if err != nil {
				cancel(ofLock(id, err))
				return
			}
			mu.Lock()
			defer mu.Unlock()
			for i, k := range list.TempKeys {
				views[k.UUID] = &lock.TempKeyList{ID: list.ID, UUID: list.UUID, TempKeys: list.TempKeys[i : i+1]}
			}
		})
	}
	work.Wait()
	return views, context.Cause(ctx)
}
