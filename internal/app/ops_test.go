package app_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/internal/app"
)

// Profiles and metrics ask nobody for credentials, so that other machines reach them has to be meant, and to be seen.
func TestAnOpsAddressThatOthersReachIsWarnedOf(t *testing.T) {
	t.Parallel()
	for addr, warns := range map[string]bool{"127.0.0.1:0": false, "[::1]:0": false, "0.0.0.0:0": true, ":0": true} {
		var log bytes.Buffer
		o := options(t)
		o.Config.OpsAddr, o.Logger = addr, slog.New(slog.NewTextHandler(&log, nil))
		a, err := app.Start(t.Context(), o)
		require.NoError(t, err)
		require.NoError(t, a.Stop())
		require.Equal(t, warns, strings.Contains(log.String(), "asks nobody for credentials"), log.String())
		if warns {
			require.Contains(t, log.String(), "ops=http://[::]:", "the address that it listens on")
		}
	}
}
