package tenant_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/journal/memory"
	"github.com/latchkey/latchkey/lock"
	"github.com/latchkey/latchkey/tenant"
)

// BenchmarkAuthenticate shows what an API key costs a request: of one organisation, and of many in turn.
func BenchmarkAuthenticate(b *testing.B) {
	for _, organisations := range []int{1, 1000} {
		b.Run(fmt.Sprint(organisations, " organisations"), func(b *testing.B) {
			j := memory.New()
			b.Cleanup(func() { _ = j.Close() })
			keys, err := tenant.New(tenant.Options{Journal: j})
			require.NoError(b, err)
			var secrets []string
			for i := range organisations {
				_, secret, err := keys.Create(b.Context(), operator, lock.OrgID(fmt.Sprint("org-", i)), tenant.NewKey{})
				require.NoError(b, err)
				secrets = append(secrets, secret)
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if _, err := keys.Authenticate(b.Context(), secrets[i%len(secrets)]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
