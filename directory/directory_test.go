package directory_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/directory"
	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/journal/memory"
	"github.com/latchkey/latchkey/lock"
)

var (
	noon  = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	hotel = lock.Caller{OrgID: "hotel-9", Key: "lk_abcdef", Addr: "203.0.113.7"}
)

func newDirectory(t *testing.T) (*directory.Directory, journal.Journal) {
	t.Helper()
	j := memory.New()
	t.Cleanup(func() { require.NoError(t, j.Close()) })
	d, err := directory.New(directory.Options{Journal: j, Now: func() time.Time { return noon }})
	require.NoError(t, err)
	return d, j
}

func requireReason(t *testing.T, err error, kind lock.Kind, reason string) {
	t.Helper()
	var rejection *lock.Error
	require.ErrorAs(t, err, &rejection)
	require.Equal(t, kind, rejection.Kind)
	require.Equal(t, reason, rejection.Reason)
}

func TestTheSameAddressIsTheSameUser(t *testing.T) {
	t.Parallel()
	d, _ := newDirectory(t)
	_, err := d.Find(t.Context(), "hotel-9", directory.Contact{Email: "ann@example.org"})
	requireReason(t, err, lock.NotFound, "user-not-found")

	ann, created, err := d.FindOrCreate(t.Context(), "hotel-9", directory.Contact{Email: " Ann@Example.org "}, hotel)
	require.NoError(t, err)
	require.True(t, created)
	require.Equal(t, directory.User{ID: ann.ID, Email: "ann@example.org", CreatedAt: noon}, ann)
	again, created, err := d.FindOrCreate(t.Context(), "hotel-9", directory.Contact{Email: "ann@example.org"}, hotel)
	require.NoError(t, err)
	require.False(t, created)
	require.Equal(t, ann, again)
	found, err := d.Find(t.Context(), "hotel-9", directory.Contact{Email: "ANN@example.org"})
	require.NoError(t, err)
	require.Equal(t, ann, found)
}

func TestOrganisationsShareNoUsers(t *testing.T) {
	t.Parallel()
	d, _ := newDirectory(t)
	ours, _, err := d.FindOrCreate(t.Context(), "hotel-9", directory.Contact{Email: "ann@example.org"}, hotel)
	require.NoError(t, err)
	_, err = d.Find(t.Context(), "hostel-2", directory.Contact{Email: "ann@example.org"})
	requireReason(t, err, lock.NotFound, "user-not-found")
	theirs, created, err := d.FindOrCreate(t.Context(), "hostel-2", directory.Contact{Email: "ann@example.org"}, lock.Caller{OrgID: "hostel-2"})
	require.NoError(t, err)
	require.True(t, created)
	require.NotEqual(t, ours.ID, theirs.ID)
	// The names of organisations run into the addresses nowhere.
	_, err = d.Find(t.Context(), "hotel-9\x00ann", directory.Contact{Email: "x@example.org"})
	requireReason(t, err, lock.NotFound, "user-not-found")
}

func TestAUserIsKnownByBoth(t *testing.T) {
	t.Parallel()
	d, j := newDirectory(t)
	ann, _, err := d.FindOrCreate(t.Context(), "hotel-9", directory.Contact{Email: "ann@example.org"}, hotel)
	require.NoError(t, err)
	both, created, err := d.FindOrCreate(t.Context(), "hotel-9", directory.Contact{Email: "ann@example.org", Phone: "0049 (30) 901-820"}, hotel)
	require.NoError(t, err)
	require.False(t, created)
	require.Equal(t, directory.User{ID: ann.ID, Email: "ann@example.org", Phone: "+4930901820", CreatedAt: noon}, both)
	byPhone, err := d.Find(t.Context(), "hotel-9", directory.Contact{Phone: "+49 30 901820"})
	require.NoError(t, err)
	require.Equal(t, both, byPhone)

	// A number may be that of a home: another address that comes with it is somebody else, who is not taken for Ann, nor Ann for them.
	_, _, err = d.FindOrCreate(t.Context(), "hotel-9", directory.Contact{Email: "else@example.org", Phone: "+4930901820"}, hotel)
	requireReason(t, err, lock.Conflict, "contacts-differ")
	_, err = d.Find(t.Context(), "hotel-9", directory.Contact{Email: "else@example.org"})
	requireReason(t, err, lock.NotFound, "user-not-found")

	bob, _, err := d.FindOrCreate(t.Context(), "hotel-9", directory.Contact{Email: "bob@example.org"}, hotel)
	require.NoError(t, err)
	require.NotEqual(t, ann.ID, bob.ID)
	_, _, err = d.FindOrCreate(t.Context(), "hotel-9", directory.Contact{Email: "bob@example.org", Phone: "+4930901820"}, hotel)
	requireReason(t, err, lock.Conflict, "contacts-differ")

	records, err := j.Read(t.Context(), "user/"+string(ann.ID), 0, 10)
	require.NoError(t, err)
	require.Len(t, records, 2)
	require.JSONEq(t, `{"at":"2026-05-01T12:00:00Z","orgId":"hotel-9","userId":"`+string(ann.ID)+`","phone":"+4930901820",
		"by":"hotel-9","via":"lk_abcdef","from":"203.0.113.7"}`, string(records[1].Data))
	rows, err := j.Index(t.Context(), journal.IndexRow{}, 10)
	require.NoError(t, err)
	require.Len(t, rows, 3)
	for _, row := range rows {
		require.Regexp(t, `^[0-9a-f]{64}$`, row.Key, "the index has no addresses")
	}
}

func TestManyAskForTheSameUserAtOnce(t *testing.T) {
	t.Parallel()
	d, _ := newDirectory(t)
	const callers = 32
	ids := make([]lock.UserID, callers)
	var created int
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			user, fresh, err := d.FindOrCreate(context.Background(), "hotel-9", directory.Contact{Email: "ann@example.org", Phone: "+4930901820"}, hotel)
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			ids[i] = user.ID
			if fresh {
				created++
			}
		})
	}
	wg.Wait()
	require.Equal(t, 1, created)
	for _, id := range ids {
		require.Equal(t, ids[0], id)
	}
}

func TestWhatIsNoAddressIsRefused(t *testing.T) {
	t.Parallel()
	d, _ := newDirectory(t)
	for _, c := range []struct {
		contact directory.Contact
		reason  string
	}{
		{directory.Contact{}, "contact-required"},
		{directory.Contact{Email: "ann"}, "email-invalid"},
		{directory.Contact{Email: "Ann <ann@example.org>"}, "email-invalid"},
		{directory.Contact{Email: "ann@example.org, bob@example.org"}, "email-invalid"},
		{directory.Contact{Email: "ann@example.org\n"}, ""},
		{directory.Contact{Email: "a\x00nn@example.org"}, "email-invalid"},
		{directory.Contact{Phone: "901820"}, "phone-invalid"},
		{directory.Contact{Phone: "+0 30 901820"}, "phone-invalid"},
		{directory.Contact{Phone: "+49 30 CALL ME"}, "phone-invalid"},
		{directory.Contact{Email: "ann@example.org", Phone: "+49"}, "phone-invalid"},
	} {
		_, _, err := d.FindOrCreate(t.Context(), "hotel-9", c.contact, hotel)
		if c.reason == "" {
			require.NoError(t, err)
			continue
		}
		requireReason(t, err, lock.Invalid, c.reason)
	}
}

// failing is a journal that answers so many questions, and then none; and takes no appends if it is told so.
type failing struct {
	journal.Journal
	answers  int
	noAppend bool
}

var errRefused = errors.New("connection refused")

func (f *failing) ask() error {
	if f.answers--; f.answers < 0 {
		return errRefused
	}
	return nil
}

func (f *failing) Claimed(ctx context.Context, kind, key string) (string, error) {
	if err := f.ask(); err != nil {
		return "", err
	}
	return f.Journal.Claimed(ctx, kind, key)
}

func (f *failing) Read(ctx context.Context, stream string, after uint64, limit int) ([]journal.Record, error) {
	if err := f.ask(); err != nil {
		return nil, err
	}
	return f.Journal.Read(ctx, stream, after, limit)
}

func (f *failing) Submit(a journal.Append, done func(journal.Result)) {
	if f.noAppend {
		go done(journal.Result{Err: fmt.Errorf("%w: %w", journal.ErrUnknown, errRefused)})
		return
	}
	f.Journal.Submit(a, done)
}

// Before the append nothing has happened, whichever question the journal does not answer; of the append nobody knows.
func TestWhatIsNotAnsweredHasNotHappened(t *testing.T) {
	t.Parallel()
	whole, j := newDirectory(t)
	ann := directory.Contact{Email: "ann@example.org"}
	_, _, err := whole.FindOrCreate(t.Context(), "hotel-9", ann, hotel)
	require.NoError(t, err)
	both := directory.Contact{Email: ann.Email, Phone: "+4930901820"}
	f := &failing{Journal: j, noAppend: true}
	d, err := directory.New(directory.Options{Journal: f})
	require.NoError(t, err)
	const questions = 3 // of two claims, and of what is known of Ann
	for f.answers = range questions {
		_, _, err := d.FindOrCreate(t.Context(), "hotel-9", both, hotel)
		require.ErrorIs(t, err, directory.ErrUnavailable)
	}
	for f.answers = range 2 {
		_, err := d.Find(t.Context(), "hotel-9", ann)
		require.ErrorIs(t, err, directory.ErrUnavailable)
	}
	f.answers = questions
	_, _, err = d.FindOrCreate(t.Context(), "hotel-9", both, hotel)
	require.ErrorIs(t, err, journal.ErrUnknown)
	require.NotErrorIs(t, err, directory.ErrUnavailable)
}

func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	_, err := directory.New(directory.Options{})
	require.Error(t, err)
}
