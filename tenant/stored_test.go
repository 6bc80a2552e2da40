package tenant

import (
	"flag"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/internal/form"
	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/lock"
	"github.com/latchkey/latchkey/named"
)

var update = flag.Bool("update", false, "write anew what is stored")

func TestWhatIsStored(t *testing.T) {
	t.Parallel()
	types := map[string]any{}
	for _, e := range []Event{new(OrganizationRegistered), new(KeyCreated), new(KeyReplaced), new(KeyRevoked), new(RequestRemembered)} {
		types[e.EventType()] = e
	}
	form.Check(t, *update, types)
}

// Half of what a newer program says of a key, such as its scopes, is worse than nothing.
func TestWhatANewerProgramWroteIsRefused(t *testing.T) {
	t.Parallel()
	for _, typ := range []string{recordRegistered, recordKeyCreated, recordKeyReplaced, recordKeyRevoked, named.RecordType, "ApiKeyPainted"} {
		_, err := ReadEvent(&journal.Record{Type: typ, Data: []byte(`{"orgId":"acme","later":1}`)})
		require.ErrorIs(t, err, lock.ErrNewer, typ)
	}
}
