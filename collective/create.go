package collective

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/lock"
	"github.com/latchkey/latchkey/named"
)

// Create is a request for a key.
type Create struct {
	By          lock.Caller
	ValidFrom   time.Time
	ValidUntil  time.Time
	Description string
	Doors       []NewDoor
}

// NewDoor is a door that is asked for.
type NewDoor struct {
	LockID lock.ID
	Label  string
	Access Access
}

func (c *Create) check() error {
	if len(c.Doors) < 1 || len(c.Doors) > MaxDoors {
		return invalid("doors", "doors-invalid", "doors must name 1 to 50 doors")
	}
	if err := lock.CheckDescription(c.Description); err != nil {
		return err
	}
	if err := checkWindow(millis(c.ValidFrom), millis(c.ValidUntil)); err != nil {
		return err
	}
	seen := make(map[lock.ID]bool, len(c.Doors))
	for i, d := range c.Doors {
		field := fmt.Sprintf("doors[%d]", i)
		switch {
		case seen[d.LockID]:
			return invalid(field+".lockId", "door-named-twice", fmt.Sprintf("lock %s is named twice: each door of a key is another lock", d.LockID))
		case !text(d.Label, maxLabel) || lock.HasUnseen(d.Label):
			return invalid(field+".label", "label-invalid", "a label may have up to 120 characters, without control characters and those that turn the direction of text")
		case d.Access != ByKey && d.Access != ByCode && d.Access != ByBoth:
			return invalid(field+".accessMethod", "access-method-invalid", `accessMethod must be "key", "code" or "both"`)
		}
		seen[d.LockID] = true
	}
	return nil
}

func text(s string, most int) bool { return utf8.ValidString(s) && utf8.RuneCountInString(s) <= most }

// Create grants every door of a new key, or none. The caller must be allowed to manage each of the locks; the error of the
// first that refuses is returned. It ends within createFor. A request that was carried out before gets its key again, without the
// code, which is told once.
func (k *Keys) Create(ctx context.Context, c Create) (*Key, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, createFor)
	defer cancel()
	if key, err := k.before(ctx, c.By); key != nil || err != nil {
		return key, lookedUp(err)
	}
	if err := c.By.CheckNew(); err != nil { // the locks would say so too, when the request is stored
		return nil, err
	}
	doors, err := k.look(ctx, &c)
	if err != nil {
		return nil, lookedUp(err)
	}
	for range maxPINs {
		key, err := k.create(ctx, &c, doors)
		var taken *journal.ClaimError
		switch {
		case errors.Is(err, errPINTaken):
			continue
		case errors.As(err, &taken): // of the name: another node has carried out the same request
			if key, err = k.before(ctx, c.By); key == nil && err == nil {
				err = taken
			}
		}
		return key, outward(err)
	}
	return nil, busy("no-free-pin", "No PIN was found that is free in all of the locks. Try again, or revoke keys that are not needed any more.")
}

// before is the key that the request led to when it was carried out before; nil: it was not, or it has no name. Whoever may not see a
// key has not asked for it before.
func (k *Keys) before(ctx context.Context, by lock.Caller) (*Key, error) {
	found, err := named.From(ctx).Before(ctx, k.Journal, k.Now())
	if found == nil || err != nil {
		return nil, err
	}
	id, ok := strings.CutPrefix(found.Stream, StreamPrefix)
	if !ok {
		return nil, fmt.Errorf("collective: a request for a key has led to %s", found.Stream)
	}
	s, err := k.load(ctx, lock.TempKeyID(id))
	if err != nil {
		return nil, err
	}
	if !mayManage(by, s.owner()) {
		named.From(ctx).Disown()
		return nil, nil
	}
	key, err := k.key(s)
	if err == nil {
		key.PIN = ""
	}
	return key, err
}

// look asks the locks before anything is stored, so that a door that does not exist leaves no trace.
func (k *Keys) look(ctx context.Context, c *Create) ([]Door, error) {
	doors := make([]Door, len(c.Doors))
	for i, d := range c.Doors {
		doors[i] = Door{Number: int64(i) + 1, LockID: d.LockID, Label: d.Label, Access: d.Access}
	}
	return doors, each(ctx, doors, func(ctx context.Context, d *Door) error {
		reply, err := k.Locks.Do(ctx, d.LockID, &lock.GetLock{By: c.By})
		if err != nil {
			return ofDoor(d, err)
		}
		info, ok := reply.(*lock.Info)
		if !ok {
			return fmt.Errorf("collective: a lock answered %T", reply)
		}
		d.LockUUID = info.UUID
		return nil
	})
}

// each does something for all the doors, some of them at the same time, until one fails.
func each(ctx context.Context, doors []Door, do func(context.Context, *Door) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(abreast)
	for i := range doors {
		group.Go(func() error { return do(ctx, &doors[i]) })
	}
	return group.Wait()
}

// errPINTaken says that another key of one of the locks has the same code.
var errPINTaken = errors.New("the PIN is taken")

// create makes one attempt, with a UUID and a PIN of its own.
func (k *Keys) create(ctx context.Context, c *Create, doors []Door) (*Key, error) {
	r, pin, err := k.request(c, doors)
	if err != nil {
		return nil, err
	}
	s := new(state)
	if err := k.append(ctx, s, r); err != nil {
		return nil, err
	}
	if err := k.grant(ctx, s, c.By, pin); err != nil {
		k.undo(ctx, s, err)
		return nil, err
	}
	now := millis(k.Now())
	events := []any{&granted{At: now}}
	if mark := named.From(ctx).Mark(); mark != nil {
		events = append(events, &remembered{At: now, Mark: *mark})
	}
	if err := k.append(ctx, s, events...); err != nil {
		var taken *journal.ClaimError
		if errors.As(err, &taken) {
			k.undo(ctx, s, err)
		}
		return nil, err // whoever was faster has given it up, or it is found half done
	}
	return k.key(s)
}

func (k *Keys) request(c *Create, doors []Door) (r *requested, pin string, err error) {
	now := k.Now()
	r = &requested{
		At: millis(now), UUID: lock.TempKeyID(uuid.NewString()), OrgID: c.By.OrgID, UserID: c.By.UserID, Super: c.By.Super,
		By: c.By.Key, From: c.By.Addr, ValidFrom: millis(c.ValidFrom), ValidUntil: millis(c.ValidUntil), Description: c.Description,
		Doors: make([]Door, len(doors)), GiveUpAt: millis(now.Add(giveUpAfter)),
	}
	codes := false
	for i, d := range doors {
		d.TempKeyID = lock.TempKeyID(uuid.NewString())
		r.Doors[i] = d
		codes = codes || d.Access.code()
	}
	if !codes {
		return r, "", nil
	}
	if k.PINs == nil {
		return nil, "", busy("pins-not-configured", "This server takes no PINs: its operator has to give it --pin-key-file. Doors with the accessMethod key can be granted.")
	}
	if pin, err = k.PINs.mint(); err != nil {
		return nil, "", err
	}
	r.PIN = k.PINs.sealed(r.UUID, pin)
	return r, pin, nil
}

// grant has each lock take its part.
func (k *Keys) grant(ctx context.Context, s *state, by lock.Caller, pin string) error {
	return each(ctx, s.Doors, func(ctx context.Context, d *Door) error {
		c := &lock.CreateTempKey{
			By: by, UUID: d.TempKeyID, AccessMode: lock.Public, ValidFrom: s.ValidFrom, ValidUntil: s.ValidUntil, Description: s.Description,
			Door: &lock.Door{Key: s.UUID, Number: d.Number, Link: d.Access != ByCode}, GrantBy: s.GiveUpAt,
		}
		if d.Access.code() {
			c.Door.PIN = k.PINs.Hash(d.LockID, pin)
		}
		_, err := k.insist(ctx, d.LockID, c)
		var rejection *lock.Error
		if errors.As(err, &rejection) && rejection.Reason == lock.ReasonPINTaken {
			return errPINTaken
		}
		return ofDoor(d, err)
	})
}

// insist gives a lock a command until it is known what became of it, which is safe with those that may be repeated.
func (k *Keys) insist(ctx context.Context, id lock.ID, c lock.Command) (lock.Reply, error) {
	var reply lock.Reply
	err := errors.New("not tried")
	for attempt := 0; err != nil && attempt < maxAttempts && (attempt == 0 || ctx.Err() == nil); attempt++ {
		var rejection *lock.Error
		if reply, err = k.Locks.Do(ctx, id, c); !errors.As(err, &rejection) {
			continue
		}
		if rejection.Kind != lock.Busy {
			break
		}
		if attempt+1 < maxAttempts {
			rest(ctx) // a busy lock answers at once, and would all the times
		}
	}
	return reply, err
}

// rest is a pause before a busy lock is asked again.
func rest(ctx context.Context) {
	select {
	case <-time.After(leastRest + rand.N(mostRest-leastRest)):
	case <-ctx.Done():
	}
}

// undo takes back what was granted, whether or not the caller still waits.
func (k *Keys) undo(ctx context.Context, s *state, why error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishFor)
	defer cancel()
	if err := k.abandon(ctx, s, why.Error()); err != nil {
		k.Logger.Warn("a collective key was left half granted, and is undone soon", "key_created", s.At, "error", err)
	}
}
