package lateness_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/internal/lateness"
)

func TestAMachineOnTimeIsNotLate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := lateness.Start()
		<-time.After(time.Minute)
		require.Zero(t, w.Stop())
	})
}

func TestOnlyALateMachineIsAllowedMore(t *testing.T) {
	t.Parallel()
	const bound = 100 * time.Millisecond
	for late, want := range map[time.Duration]time.Duration{
		0: bound, 10 * time.Millisecond: bound, 11 * time.Millisecond: 110 * time.Millisecond, time.Second: 10 * time.Second,
	} {
		require.Equal(t, want, lateness.Allow(bound, late), "%s late", late)
	}
}
