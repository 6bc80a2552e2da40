package actors

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/lock"
)

// Whoever has a link can have as many callers wait as a grain has room for. A revocation waits all the same.
func TestACrowdDoesNotHurryARevocation(t *testing.T) {
	t.Parallel()
	w := start(t, inMemory(t), func(o *Options) { o.OpenWait = 9 * time.Second })
	id := w.newLock()
	key := w.newKey(id, 0)
	w.connect(id, silent)
	first := opening(key, "again-and-again")
	first.Lifetime = 9 * time.Second

	var crowd sync.WaitGroup
	defer crowd.Wait()
	const wave = 128 // fewer than a mailbox holds
	for came := wave; came <= maxWaiters; came += wave {
		for range wave {
			crowd.Go(func() { _, _ = w.Do(within(t, 20*time.Second), id, first) })
		}
		require.Eventually(t, func() bool { return w.metric("waiters") >= float64(came) }, 10*time.Second, time.Millisecond)
	}
	deadline := w.must(id, &lock.GetTempKey{TempKeyID: key, RequestID: first.RequestID}).(*lock.TempKeyInfo).Open.Deadline
	_, err := w.Do(within(t, 20*time.Second), id, &lock.DeleteTempKey{By: owner, TempKeyID: key})
	require.NoError(t, err)
	require.True(t, time.Now().After(deadline), "acknowledged %s too early", time.Until(deadline))
}
