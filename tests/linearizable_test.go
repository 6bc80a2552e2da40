package tests

import (
	"fmt"
	"maps"
	"math"
	"net/http"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/latchkey/latchkey/lock"
)

const (
	modelledKeys    = 64               // of one lock
	linearizeWithin = 60 * time.Second // for one lock; a checker that takes longer has not said yes

	// returnSlack is how far from the instant that the journal gives a use may have come back. The instant is that of the decision.
	returnSlack = 100 * time.Millisecond
)

// keyState is one key of the modelled lock.
type keyState struct {
	there, gone bool  // gone: it was deleted, for ever
	limit, used int32 // limit 0: none
}

// lockState is the modelled lock: as small as it can be, and comparable.
type lockState [modelledKeys]keyState

// operation is what was asked of the lock, with its key as an index.
type operation struct {
	*act
	index int
	uses  [modelledKeys]int32 // that a list told; -1: the key was not in it
}

// step gives the states that the lock may be in after an operation with this answer: none when it cannot have happened
// here, and two when there was no answer, so that nobody knows whether it happened.
func step(state lockState, o *operation) []any {
	k := &state[o.index]
	before := state
	if o.status == http.StatusServiceUnavailable {
		return []any{before} // this answer says that nothing was done
	}
	switch o.kind {
	case createKey:
		switch {
		case k.gone:
			return only(o, http.StatusConflict, before)
		case !k.there:
			*k = keyState{there: true, limit: int32(o.limit)}
		}
	case limitKey:
		if !k.there {
			return only(o, http.StatusNotFound, before)
		}
		k.limit = int32(o.limit)
	case deleteKey:
		if !k.there {
			return only(o, http.StatusNotFound, before)
		}
		*k = keyState{gone: true}
		if o.status == http.StatusNotFound && o.attempts > 1 {
			return []any{state} // an earlier attempt, whose answer was lost, has deleted it
		}
	case openByKey:
		switch {
		case !k.there:
			return only(o, http.StatusNotFound, before)
		case k.limit > 0 && k.used >= k.limit:
			return only(o, http.StatusForbidden, before)
		}
		k.used++
	case returnUse:
		if !k.there || k.used == 0 {
			return nil
		}
		k.used--
	case listKeys:
		for i := range state {
			if uses := o.uses[i]; state[i].there != (uses >= 0) || state[i].there && state[i].used != uses {
				return nil
			}
		}
		return []any{before}
	}
	switch {
	case o.status == 0:
		return []any{before, state}
	case o.accepted():
		return []any{state}
	default:
		return nil
	}
}

// only lets the operation leave the lock as it is, if it was answered as it must be then.
func only(o *operation, status int, state lockState) []any {
	if o.status == status || o.status == 0 {
		return []any{state}
	}
	return nil
}

func describe(o *operation) string {
	switch o.kind {
	case listKeys:
		return fmt.Sprintf("list: %v", o.act.uses)
	default:
		return fmt.Sprintf("%s %d (%s) limit %d: %d %s", o.kind, o.index, o.key, o.limit, o.status, o.reason)
	}
}

var lockModel = (&porcupine.NondeterministicModel{
	Init: func() []any { return []any{lockState{}} },
	Step: func(state, input, _ any) []any { return step(state.(lockState), input.(*operation)) },
}).ToModel()

// linearizable is I7: for each lock there is an order of all operations that explains every answer, and keeps to
// the order of those that did not overlap. It gives the number of operations.
func (e *evidence) linearizable(s *story) (operations int) {
	by := locksOf(e.acts)
	for _, r := range s.returns {
		from, to := r.at.Add(-returnSlack), r.at.Add(returnSlack)
		if e.clocksDiffer {
			from, to = e.epoch, time.Now()
		}
		by[r.lock] = append(by[r.lock], act{kind: returnUse, lock: r.lock, key: r.key, status: http.StatusOK, called: from, answered: to})
	}
	for _, id := range slices.Sorted(maps.Keys(by)) {
		history, err := e.history(by[id])
		if err != nil {
			s.complain("I7: lock %d: %v", id, err)
			continue
		}
		operations += len(history)
		switch porcupine.CheckOperationsTimeout(lockModel, history, linearizeWithin) {
		case porcupine.Ok:
		case porcupine.Illegal:
			s.complain("I7: the %d operations of lock %d cannot be brought into an order:%s", len(history), id, transcript(history))
		default:
			s.complain("I7: the %d operations of lock %d could not be checked within %s", len(history), id, linearizeWithin)
		}
	}
	return operations
}

// history makes the operations of one lock. What had no answer may still happen until the end.
func (e *evidence) history(acts []act) ([]porcupine.Operation, error) {
	indexes := make(map[lock.TempKeyID]int)
	for _, a := range acts {
		if _, known := indexes[a.key]; a.kind == createKey && !known {
			indexes[a.key] = len(indexes)
		}
	}
	if len(indexes) > modelledKeys {
		return nil, fmt.Errorf("it has %d keys, more than the model", len(indexes))
	}
	var history []porcupine.Operation
	for _, a := range once(acts) {
		if !a.modelled() {
			continue
		}
		o := &operation{act: a}
		for i := range o.uses {
			o.uses[i] = -1
		}
		for key, uses := range a.uses {
			i, known := indexes[key]
			if !known {
				return nil, fmt.Errorf("a list names key %s, which nobody created", key)
			}
			o.uses[i] = int32(uses)
		}
		if a.key != "" {
			index, known := indexes[a.key]
			if !known {
				return nil, fmt.Errorf("nobody created key %s", a.key)
			}
			o.index = index
		}
		end := int64(math.MaxInt64)
		if a.status != 0 {
			end = a.answered.Sub(e.epoch).Nanoseconds()
		}
		history = append(history, porcupine.Operation{Input: o, Output: a.status, Call: a.called.Sub(e.epoch).Nanoseconds(), Return: end})
	}
	return history, nil
}

// modelled tells whether an act has to do with what the model knows: the uses of keys.
func (a *act) modelled() bool {
	switch a.kind {
	case createKey, limitKey, deleteKey, openByKey, returnUse:
		return true
	case listKeys:
		return a.uses != nil
	}
	return false
}

// once joins the opens that were made with one request ID, since all of them together happen once: some time between
// the first call and the first answer that says so. A refusal changes nothing, and stands for itself.
func once(acts []act) (joined []*act) {
	opens := make(map[lock.RequestID]*act)
	for i := range acts {
		a := &acts[i]
		if a.kind != openByKey || a.status != 0 && !a.accepted() {
			joined = append(joined, a)
			continue
		}
		all := opens[a.request]
		if all == nil {
			first := *a
			opens[a.request] = &first
			joined = append(joined, &first)
			continue
		}
		if a.called.Before(all.called) {
			all.called = a.called
		}
		if a.status != 0 && (all.status == 0 || a.answered.Before(all.answered)) {
			all.status, all.answered = a.status, a.answered
		}
	}
	return joined
}

// transcript shows a history that is wrong to whoever has to find out why.
func transcript(history []porcupine.Operation) string {
	const most = 200
	slices.SortFunc(history, func(a, b porcupine.Operation) int { return int(max(-1, min(1, a.Call-b.Call))) })
	text := ""
	for i, o := range history {
		if i == most {
			return text + "\n  ..."
		}
		text += fmt.Sprintf("\n  %10.3fms to %10.3fms  %s", float64(o.Call)/1e6, float64(o.Return)/1e6, describe(o.Input.(*operation)))
	}
	return text
}
