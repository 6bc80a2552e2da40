package lock

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A key for ever has grace too, and no instant is told that clients cannot read.
func TestGraceBeyondTheLastYear(t *testing.T) {
	t.Parallel()
	k := TempKey{ValidFrom: noon, ValidUntil: time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), AccessMode: Public, GraceBeforeSeconds: 60, GraceAfterSeconds: 900}
	require.NoError(t, k.check())
	open := k.view(noon)
	require.Equal(t, StatusValid, open.Status)
	require.Nil(t, open.OpenUntil)
	next := k.view(noon.Add(-time.Hour)).NextWindow
	require.Equal(t, noon.Add(-time.Minute), next.From)
	require.Nil(t, next.Until)
	k.GraceAfterSeconds = 0
	require.Equal(t, k.ValidUntil, *k.view(noon).OpenUntil)
}
