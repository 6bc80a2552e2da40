package app

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/transport"
)

func TestDevicesLeaveFilesForOthers(t *testing.T) {
	t.Parallel()
	for files, devices := range map[uint64]int{
		0:              1,
		64:             1,
		256:            192,
		1024:           896,
		20_000:         17_500,
		math.MaxUint64: transport.DefaultMaxSessions,
	} {
		require.Equal(t, devices, maxSessions(files), files)
	}
	require.NotZero(t, openFiles())
}
