package verify_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/internal/verify"
	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/journal/memory"
	"github.com/latchkey/latchkey/lock"
	"github.com/latchkey/latchkey/tenant"
)

func TestKeysOfOrganisations(t *testing.T) {
	t.Parallel()
	j := memory.New()
	t.Cleanup(func() { _ = j.Close() })
	keys, err := tenant.New(tenant.Options{Journal: j})
	require.NoError(t, err)
	operator := lock.Caller{Super: true}
	_, _, err = keys.Register(t.Context(), operator, "hotel", "Hotel")
	require.NoError(t, err)
	key, _, err := keys.Create(t.Context(), operator, "hotel", tenant.NewKey{})
	require.NoError(t, err)
	_, _, err = keys.Rotate(t.Context(), operator, "hotel", key.ID, time.Hour)
	require.NoError(t, err)
	_, err = keys.Revoke(t.Context(), operator, "hotel", key.ID)
	require.NoError(t, err)
	findings := func() (found []string) {
		_, err := verify.Check(t.Context(), j, func(f verify.Finding) { found = append(found, f.String()) })
		require.NoError(t, err)
		return found
	}
	require.Empty(t, findings())

	version, _, err := j.Head(t.Context(), "org/hotel")
	require.NoError(t, err)
	for i, bad := range []struct{ typ, data string }{
		{"ApiKeyRevoked", `{"orgId":"hotel","keyId":"0000000000000000"}`},
		{"ApiKeyReplaced", `{"orgId":"hostel","keyId":"` + key.ID + `"}`},
		{"ApiKeysFrozen", `{"orgId":"hotel"}`},
		{"ApiKeyRevoked", `{`},
	} {
		_, err := journal.Do(t.Context(), j, journal.Append{
			Stream: "org/hotel", Expected: version + uint64(i), ID: bad.data, Records: []journal.NewRecord{{Type: bad.typ, Data: []byte(bad.data)}},
		})
		require.NoError(t, err)
	}
	found := findings()
	require.Len(t, found, 4)
	require.Contains(t, found[0], "which was never created")
	require.Contains(t, found[1], `belongs to the organisation "hostel"`)
	require.Contains(t, found[2], "cannot be read")
	require.Contains(t, found[3], "cannot be read")
}
