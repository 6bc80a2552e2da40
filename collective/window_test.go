package collective

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/lock"
)

// What is wrong with a window has the name and the reason that it has with a key of one lock.
func TestAWindowIsRefusedAsALockRefusesIt(t *testing.T) {
	t.Parallel()
	s := new(lock.State)
	lock.Evolve(s, &lock.LockCreated{Stamp: lock.Stamp{LockUUID: "6f2c1f0e-8b7a-4d4e-9a55-0c1d2e3f4a5b"}, LockID: 1, Index: 1})
	at := func(text string) time.Time {
		instant, err := time.Parse(time.RFC3339Nano, text)
		require.NoError(t, err)
		return instant
	}
	for _, c := range []struct{ from, until, field, reason string }{
		{"0001-01-01T00:00:00+01:00", "2026-05-01T00:00:00Z", "validFrom", "instant-invalid"},
		{"0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00", "validFrom", "instant-invalid"},
		{"9999-12-31T23:59:59-01:00", "9999-12-31T23:59:59Z", "validFrom", "instant-invalid"},
		{"2026-05-01T00:00:00Z", "9999-12-31T23:59:59-01:00", "validUntil", "instant-invalid"},
		{"2026-05-01T00:00:00Z", "2026-05-01T00:00:00.0009Z", "validUntil", "window-empty"},
	} {
		err := (&Create{ValidFrom: at(c.from), ValidUntil: at(c.until), Doors: []NewDoor{{LockID: 1, Access: ByKey}}}).check()
		_, ofLock := lock.Decide(s, &lock.CreateTempKey{
			By: super, UUID: "3d0e8c3a-5a0f-4a53-8f0b-5f3c2f1f7a10", AccessMode: lock.Public, ValidFrom: at(c.from), ValidUntil: at(c.until),
		}, at("2026-05-01T00:00:00Z"))
		require.Equal(t, ofLock, err, c)
		var rejection *lock.Error
		require.ErrorAs(t, err, &rejection)
		require.Equal(t, [2]string{c.field, c.reason}, [2]string{rejection.Field, rejection.Reason}, c)
	}
}
