package api_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/latchkey/latchkey/api"
	"github.com/latchkey/latchkey/lock"
)

// kernel runs the real kernel in memory: Decide, Evolve, effects, reply, one command at a time.
type kernel struct {
	mu     sync.Mutex
	now    func() time.Time
	locks  map[lock.ID]*lock.State
	events map[lock.ID][]api.Event
	keys   map[lock.TempKeyID]lock.ID
	uuids  map[lock.UUID]lock.ID
	// answer is what the device says to an open; nil: nothing.
	answer func(lock.CommandID) *lock.AnswerOpen
	// answerKey is what it says to a change of a key; nil: the device keeps no keys.
	answerKey func(lock.CommandID) *lock.AnswerKey
	// trouble is what happens instead of a command.
	trouble func() error
	opens   int // commands that reached the device
	large   int // so many events are as large as a read may be; 0: all are small
}

func newKernel(now func() time.Time) *kernel {
	return &kernel{
		now: now, locks: make(map[lock.ID]*lock.State), events: make(map[lock.ID][]api.Event),
		keys: make(map[lock.TempKeyID]lock.ID), uuids: make(map[lock.UUID]lock.ID),
	}
}

func (k *kernel) Do(_ context.Context, id lock.ID, c lock.Command) (lock.Reply, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.trouble != nil {
		if err := k.trouble(); err != nil {
			return nil, err
		}
	}
	s := k.locks[id]
	if s == nil {
		s = new(lock.State)
	}
	reply, err := k.decide(id, s, c)
	if open, ok := reply.(*lock.OpenResult); ok && err == nil {
		if now, known := s.OpenResult(open.RequestID); known {
			now.Replayed = open.Replayed
			return now, nil // what is known after the device had its say
		}
	}
	if change, ok := reply.(*lock.KeyResult); ok && err == nil {
		if now, known := s.KeyResult(change.CommandID); known {
			return now, nil
		}
	}
	return reply, err
}

func (k *kernel) decide(id lock.ID, s *lock.State, c lock.Command) (lock.Reply, error) {
	d, err := lock.Decide(s, c, k.now())
	if err != nil {
		return nil, err
	}
	for _, e := range d.Events {
		if err := k.taken(id, e); err != nil {
			return nil, err
		}
	}
	for _, e := range d.Events {
		k.claim(id, e)
		lock.Evolve(s, e)
		if lock.Journaled(e) {
			k.events[id] = append(k.events[id], api.Event{Version: s.Version, Event: e})
		}
	}
	if s.Exists() {
		k.locks[id] = s
	}
	for _, e := range d.Effects {
		var answer lock.Command
		switch e := e.(type) {
		case *lock.SendOpen:
			k.opens++
			if k.answer != nil {
				answer = k.answer(e.CommandID)
			}
		case *lock.SendKey:
			if said := k.answerKey(e.CommandID); said != nil {
				answer = said
			}
		case *lock.SendConfig:
			answer = &lock.AnswerConfig{Session: e.Session, Number: e.Config.Number}
		}
		if answer == nil {
			continue
		}
		if _, err := k.decide(id, s, answer); err != nil {
			return nil, err
		}
	}
	return d.Reply, nil
}

// taken keeps UUIDs to one lock, and those of temporary keys to one key, as the journal does.
func (k *kernel) taken(id lock.ID, e lock.Event) error {
	refused := func(reason, field string) error {
		return &lock.Error{Kind: lock.Conflict, Reason: reason, Field: field, Message: "Another one has it."}
	}
	switch e := e.(type) {
	case *lock.LockCreated:
		if owner, taken := k.uuids[e.LockUUID]; taken && owner != id {
			return refused("uuid-taken", "")
		}
	case *lock.LockUuidChanged:
		if owner, taken := k.uuids[e.NewUUID]; taken && owner != id {
			return refused("device-uuid-taken", "uuid")
		}
	case *lock.TempKeyCreated:
		if _, taken := k.keys[e.Key.UUID]; taken {
			return refused(lock.ReasonTempKeyTaken, "tempKeyUuid")
		}
	}
	return nil
}

func (k *kernel) claim(id lock.ID, e lock.Event) {
	switch e := e.(type) {
	case *lock.LockCreated:
		k.uuids[e.LockUUID] = id
	case *lock.LockUuidChanged:
		k.uuids[e.NewUUID] = id
	case *lock.TempKeyCreated:
		k.keys[e.Key.UUID] = id
	}
}

func (k *kernel) TempKeysBy(_ context.Context, creator string, after lock.TempKeyID, limit int) ([]api.KeyOfLock, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	var list []api.KeyOfLock
	for key, id := range k.keys {
		d, err := lock.Decide(k.locks[id], &lock.GetTempKey{TempKeyID: key}, k.now())
		if err == nil && d.Reply.(*lock.TempKeyInfo).Key.CreatedBy == creator && key > after {
			list = append(list, api.KeyOfLock{Key: key, Lock: id})
		}
	}
	slices.SortFunc(list, func(a, b api.KeyOfLock) int { return strings.Compare(string(a.Key), string(b.Key)) })
	return list[:min(len(list), limit)], nil
}

func (k *kernel) FindTempKey(_ context.Context, key lock.TempKeyID) (lock.ID, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.keys[key], nil
}

func (k *kernel) Events(_ context.Context, id lock.ID, after uint64, limit int) ([]api.Event, uint64, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	all := k.events[id]
	total := uint64(len(all))
	from := min(after, total)
	if k.large > 0 {
		limit = min(limit, k.large)
	}
	return all[from:min(from+uint64(limit), total)], total, nil
}

// connect gives a lock a device that answers every open.
func (k *kernel) connect(id lock.ID, answer func(lock.CommandID) *lock.AnswerOpen) error {
	k.mu.Lock()
	k.answer = answer
	k.mu.Unlock()
	_, err := k.Do(context.Background(), id, &lock.ConnectDevice{Device: lock.Device{
		Session: lock.Session{Node: "n1", ID: 1}, BootID: "b1", Firmware: "1.4.2", Deadline: true, Journal: true, Keys: k.answerKey != nil,
		Reported: lock.Reported{Bolt: "locked", Door: "closed", Battery: 78},
	}})
	return err
}

func opens(id lock.CommandID) *lock.AnswerOpen {
	return &lock.AnswerOpen{Session: lock.Session{Node: "n1", ID: 1}, CommandID: id, Opened: true, Bolt: "unlocked"}
}

func jams(id lock.CommandID) *lock.AnswerOpen {
	return &lock.AnswerOpen{
		Session: lock.Session{Node: "n1", ID: 1}, CommandID: id, Executed: lock.NotExecuted, Code: "Jammed", Message: "the bolt is stuck",
	}
}
