package config_test

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTrustedProxies(t *testing.T) {
	t.Parallel()
	want := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32")}
	c, err := parse(t, "serve", "--trusted-proxies", "10.0.0.0/8,2001:db8::/32")
	require.NoError(t, err)
	require.Equal(t, want, c.TrustedProxies)
	c, err = parse(t, "serve", "--config", writeFile(t, "trusted-proxies: [10.0.0.0/8, '2001:db8::/32']"))
	require.NoError(t, err)
	require.Equal(t, want, c.TrustedProxies)
	for _, bad := range []string{"10.0.0.1", "10.0.0.0/33", "proxy"} {
		_, err = parse(t, "serve", "--trusted-proxies", bad)
		require.ErrorContains(t, err, "--trusted-proxies")
	}
}

// A network with more than proxies in it lets others say whose requests theirs are. The start warns of it.
func TestWideNetworksOfProxies(t *testing.T) {
	t.Parallel()
	c, err := parse(t, "serve", "--trusted-proxies", "10.0.0.5/32,10.0.0.0/24,2001:db8::5/128,2001:db8::/64")
	require.NoError(t, err)
	require.Empty(t, c.WideProxies())
	c, err = parse(t, "serve", "--trusted-proxies", "10.0.0.0/23,10.0.0.5/32,2001:db8::/63,0.0.0.0/0,::/0")
	require.NoError(t, err)
	require.Equal(t, []netip.Prefix{
		netip.MustParsePrefix("10.0.0.0/23"), netip.MustParsePrefix("2001:db8::/63"), netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0"),
	}, c.WideProxies())
	require.Len(t, c.TrustedProxies, 5)
}

// Whoever can change the set of keys on its way can be any user.
func TestKeysOfTokensComeEncrypted(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"https://id.example/jwks", "http://127.0.0.1:9000/jwks", "http://localhost/jwks", "http://[::1]:9000/jwks", "/etc/jwks.json"} {
		_, err := parse(t, "serve", "--jwt-jwks", good)
		require.NoError(t, err, good)
	}
	for _, bad := range []string{"http://id.example/jwks", "http://10.0.0.1:9000/jwks"} {
		_, err := parse(t, "serve", "--jwt-jwks", bad)
		require.ErrorContains(t, err, "--jwt-jwks")
		_, err = parse(t, "serve", "--jwt-jwks", bad, "--insecure")
		require.NoError(t, err)
	}
}
