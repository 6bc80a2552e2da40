package cluster

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// A disk that hangs keeps etcd from closing, and must not keep a server from ending when it said that it would.
func TestClosingDoesNotOutlastTheDrain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		defer close(hang)
		for _, within := range []time.Duration{5 * time.Second, 0} {
			ctx, cancel := context.WithTimeout(t.Context(), within)
			begin := time.Now()
			require.False(t, endsWithin(ctx, func() { <-hang }))
			require.Equal(t, max(within, leastToClose), time.Since(begin))
			require.True(t, endsWithin(ctx, func() { <-time.After(leastToClose / 2) }), "what ends in a moment is waited for")
			cancel()
		}
		require.True(t, endsWithin(t.Context(), func() { <-time.After(time.Hour) }), "without a deadline there is no hurry")
	})
}
