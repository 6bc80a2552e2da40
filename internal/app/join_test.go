package app

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/actors"
	"github.com/latchkey/latchkey/api"
	"github.com/latchkey/latchkey/cluster"
	"github.com/latchkey/latchkey/directory"
	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/journal/memory"
	"github.com/latchkey/latchkey/lock"
	"github.com/latchkey/latchkey/named"
)

func TestErrorsSayWhetherItMayHaveHappened(t *testing.T) {
	t.Parallel()
	rejection := &lock.Error{Kind: lock.Busy}
	for _, c := range []struct{ err, want error }{
		{nil, nil},
		{rejection, rejection},
		{cluster.ErrTimeout, api.ErrTimeout},
		{cluster.ErrLost, api.ErrTimeout},
		{fmt.Errorf("%w: %w", journal.ErrFailed, journal.ErrUnknown), api.ErrTimeout},
		{journal.ErrFailed, api.ErrUnavailable},
		{journal.ErrClosed, api.ErrUnavailable},
		{journal.ErrDeadline, api.ErrBusy},
		{fmt.Errorf("%w: %w: %w", named.ErrUnavailable, journal.ErrFailed, journal.ErrUnknown), api.ErrUnavailable},
	} {
		require.ErrorIs(t, inWordsOfAPI(c.err), c.want)
	}
	other := errors.New("other")
	require.Equal(t, other, inWordsOfAPI(other))
}

// refusing is a journal whose store refuses connections: nothing is appended, since nobody gets so far.
type refusing struct{ journal.Journal }

var errRefused = errors.New("connection refused")

func (refusing) Head(context.Context, string) (uint64, string, error) { return 0, "", errRefused }

func (refusing) Claimed(context.Context, string, string) (string, error) { return "", errRefused }

func (refusing) Entries(context.Context, string, string, string, int) ([]journal.Entry, error) {
	return nil, errRefused
}

// What could not even be looked up has not happened, and may be sent again.
func TestWhatIsNotLookedUpIsUnavailable(t *testing.T) {
	t.Parallel()
	store := memory.New()
	defer func() { require.NoError(t, store.Close()) }()
	j := refusing{store}
	l, err := actors.New(actors.Options{Journal: j})
	require.NoError(t, err)
	defer l.Close()
	d, err := directory.New(directory.Options{Journal: j})
	require.NoError(t, err)
	locks, users, names := apiLocks{l}, apiUsers{d}, apiNames{named.NewNames(j, nil)}
	guest := directory.Contact{Email: "ann@example.org"}
	request := &named.Request{Key: "n1"}
	for name, ask := range map[string]func(context.Context) error{
		"events":           func(ctx context.Context) error { _, _, err := locks.Events(ctx, 42, 0, 1); return err },
		"a key":            func(ctx context.Context) error { _, err := locks.FindTempKey(ctx, "k"); return err },
		"a creator's keys": func(ctx context.Context) error { _, err := locks.TempKeysBy(ctx, "hotel-9", "", 1); return err },
		"a user":           func(ctx context.Context) error { _, err := users.Find(ctx, "hotel-9", guest); return err },
		"a user to be": func(ctx context.Context) error {
			_, _, err := users.FindOrCreate(ctx, "hotel-9", guest, lock.Caller{})
			return err
		},
		"a user, by a name": func(ctx context.Context) error {
			_, _, err := users.FindOrCreate(named.With(ctx, request), "hotel-9", guest, lock.Caller{})
			return err
		},
		"a name": func(ctx context.Context) error { return names.Begin(ctx, request) },
	} {
		err := ask(t.Context())
		require.ErrorIs(t, err, api.ErrUnavailable, name)
		require.ErrorIs(t, err, errRefused, name)
	}
}
