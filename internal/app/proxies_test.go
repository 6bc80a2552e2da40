package app_test

import (
	"bytes"
	"log/slog"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/internal/app"
)

// Whoever is in a network of proxies can make addresses up, so that one with room for others is to be seen.
func TestAWideNetworkOfProxiesIsWarnedOf(t *testing.T) {
	t.Parallel()
	for network, warns := range map[string]bool{"10.0.0.5/32": false, "10.0.0.0/8": true} {
		var log bytes.Buffer
		o := options(t)
		o.Config.TrustedProxies, o.Logger = []netip.Prefix{netip.MustParsePrefix(network)}, slog.New(slog.NewTextHandler(&log, nil))
		a, err := app.Start(t.Context(), o)
		require.NoError(t, err)
		require.NoError(t, a.Stop())
		require.Equal(t, warns, strings.Contains(log.String(), "--trusted-proxies"), log.String())
		if warns {
			require.Contains(t, log.String(), network)
		}
	}
}
