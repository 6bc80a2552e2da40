package seldom_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/internal/seldom"
)

func TestALineASecondForEachReason(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var r seldom.Reasons
		due := func(reason string, others int) {
			n, ok := r.Due(reason)
			require.True(t, ok, reason)
			require.Equal(t, others, n, reason)
		}
		due("wrong", 0)
		for range 7 {
			_, ok := r.Due("wrong")
			require.False(t, ok)
		}
		due("busy", 0)
		<-time.After(time.Second)
		due("wrong", 7)
		<-time.After(time.Minute)
		due("wrong", 0)
		due("busy", 0)
	})
}
