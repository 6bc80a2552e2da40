// Package collective keeps the keys that open several doors: one stream of the journal for each key, and in each of its
// locks a part, which is a temporary key that the lock decides about alone.
//
// Creating a key grants every door or none, and a revocation is acknowledged only when every lock has committed it. Both
// are sagas: what is about to happen is stored first, then the locks are told, then the end is stored. Each step may be
// repeated, and the version that an append expects decides between those who do the same at once, so that no process
// owns a key: whoever finds one that was left half done (Sweep) finishes it. Nothing of a key is kept in memory. No message can bring
// back a door whose key has ended, however late it comes: the door's UUID is taken then, by its lock or by the key.
package collective

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/lock"
)

// StreamPrefix starts the names of the keys' streams.
const StreamPrefix = "collective/"

// The rows of the index: a key's UUID is one of temporary keys, which no lock may use for another; a key is listed under
// its owner while its doors are granted, and found by Sweep while it is half done.
const (
	claimKind      = "temp-key"
	entryKind      = "collective-key"
	unfinishedKind = "collective-key-unfinished"
	unfinishedKey  = "all"
)

// MaxDoors is how many doors a key may open.
const MaxDoors = 50

const (
	maxLabel    = 120 // characters
	maxPINs     = 8   // tried, until one is free in all the locks
	maxAttempts = 5   // at an append that others were faster with
	pageSize    = 512 // rows read at a time
	abreast     = 8   // doors of a key, or keys of a list, that are seen to at the same time

	// Between these a pause is before a busy lock is asked again.
	leastRest = 50 * time.Millisecond
	mostRest  = 200 * time.Millisecond

	listedAtOnce = 8 * abreast // rows of a list: little for one that ends at the first of them, and no matter beside the keys themselves

	// createFor is how long a creation may take. giveUpAfter that it was begun it is undone by whoever finds it.
	createFor   = 20 * time.Second
	giveUpAfter = 45 * time.Second
	// finishFor bounds what is done after the caller has gone.
	finishFor = 30 * time.Second
)

// Access is how a door is opened.
type Access string

// The ways to open a door: with the guest's link, with the code at the door, or with either.
const (
	ByKey  Access = "key"
	ByCode Access = "code"
	ByBoth Access = "both"
)

// AccessOf tells how the part of a key is opened that a lock has.
func AccessOf(d *lock.Door) Access {
	switch {
	case !d.Link:
		return ByCode
	case d.PIN != nil:
		return ByBoth
	}
	return ByKey
}

func (a Access) code() bool { return a == ByCode || a == ByBoth }

// Key is a collective key.
type Key struct {
	UUID        lock.TempKeyID
	Owner       lock.Caller // who created it; an organisation's keys are all its members'
	ValidFrom   time.Time
	ValidUntil  time.Time
	Description string
	CreatedAt   time.Time
	RevokedAt   *time.Time // when the last lock had committed the revocation
	Doors       []Door
	HasPIN      bool   // some door is opened by code
	PIN         string // 6 digits; empty when it is not told
}

// Door is one door of a key. Number counts from 1.
type Door struct {
	Number    int64          `json:"id"`
	LockID    lock.ID        `json:"lockId"`
	LockUUID  lock.UUID      `json:"lockUuid"`
	Label     string         `json:"label,omitempty"`
	Access    Access         `json:"accessMethod"`
	TempKeyID lock.TempKeyID `json:"tempKeyUuid"` // of the part that the lock holds
}

// Door finds a door by its number; nil when there is none.
func (k *Key) Door(number int64) *Door {
	if number < 1 || number > int64(len(k.Doors)) {
		return nil
	}
	return &k.Doors[number-1]
}

// Locks are asked to grant and revoke doors. An error that is no *lock.Error leaves open whether the command was executed.
type Locks interface {
	Do(ctx context.Context, id lock.ID, c lock.Command) (lock.Reply, error)
}

// Options are what Keys are made of. Fields with a default may be left empty.
type Options struct {
	Journal journal.Journal
	Locks   Locks
	PINs    *PINs            // nil: no door is opened with a code
	Now     func() time.Time // default: time.Now
	Logger  *slog.Logger     // default: discards
}

func (o *Options) validate() error {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	switch {
	case o.Journal == nil:
		return errors.New("collective: Journal is required")
	case o.Locks == nil:
		return errors.New("collective: Locks are required")
	}
	return nil
}

// Keys makes collective keys. It may be used from any goroutine.
type Keys struct {
	Options
	begun time.Time // nobody else works on a journal that is not shared: what is older was left by a process that is gone
}

// New makes Keys.
func New(o Options) (*Keys, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	return &Keys{Options: o, begun: millis(o.Now())}, nil
}

func invalid(field, reason, message string) error {
	return &lock.Error{Kind: lock.Invalid, Reason: reason, Field: field, Message: message}
}

func notFound() error {
	return &lock.Error{Kind: lock.NotFound, Reason: "temp-key-not-found", Message: "There is no such key, or it was revoked."}
}

func busy(reason, message string) error {
	return &lock.Error{Kind: lock.Busy, Reason: reason, Message: message}
}

// Why a request was not carried out, when it is not a rejection of the type *lock.Error.
var (
	ErrUnavailable = errors.New("collective: the journal or a lock cannot be reached; nothing was granted")
	ErrUnknown     = errors.New("collective: the answer was lost")
)

// lookedUp says of an error of a look-up what is always true of it: nothing was done.
func lookedUp(err error) error {
	var rejection *lock.Error
	if err == nil || errors.As(err, &rejection) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// outward says of an error which of these it is.
func outward(err error) error {
	var rejection *lock.Error
	switch {
	case err == nil, errors.As(err, &rejection):
		return err
	case errors.Is(err, journal.ErrConflict), errors.Is(err, journal.ErrDeadline), errors.Is(err, journal.ErrClosed), errors.Is(err, journal.ErrFailed):
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return fmt.Errorf("%w: %w", ErrUnknown, err)
}
