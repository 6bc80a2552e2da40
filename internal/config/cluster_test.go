package config_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

const plainEtcd, secureEtcd = "--etcd-endpoints=http://127.0.0.1:2379", "--etcd-endpoints=https://etcd.example:2379"

var clusterTLS = []string{"--cluster-tls-ca=ca.pem", "--cluster-tls-cert=cert.pem", "--cluster-tls-key=key.pem"}

func TestWhoIsTrustedInACluster(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{
		"nobody else":      {"--cluster-addr=0.0.0.0:9000"},
		"this machine":     {plainEtcd, "--cluster-addr=127.0.0.1:9000"},
		"certificates":     append([]string{plainEtcd, "--cluster-addr=10.1.2.3:9000"}, clusterTLS...),
		"another name":     append([]string{plainEtcd, "--cluster-tls-name=node.staging.internal"}, clusterTLS...),
		"a closed network": {plainEtcd, "--cluster-addr=10.1.2.3:9000", "--cluster-insecure"},
		"the system's CAs": {secureEtcd},
		"etcd's CA":        {secureEtcd, "--etcd-tls-ca=ca.pem"},
		"a certificate":    {secureEtcd, "--etcd-tls-cert=cert.pem", "--etcd-tls-key=key.pem"},
		"a user":           {secureEtcd, "--etcd-user=latchkey", "--etcd-password-file=password"},
		"a user here":      {plainEtcd, "--etcd-user=latchkey"},
	} {
		_, err := parse(t, append([]string{"serve"}, args...)...)
		require.NoError(t, err, name)
	}
}

func TestTrustThatIsIncomplete(t *testing.T) {
	t.Parallel()
	for says, args := range map[string][]string{
		"belong together: one of them is missing":     append([]string{plainEtcd}, clusterTLS[:2]...),
		"this one would be alone":                     clusterTLS,
		"--cluster-addr 10.1.2.3:9000 can be":         {plainEtcd, "--cluster-addr=10.1.2.3:9000", "--insecure"},
		"--cluster-advertise-addr 10.1.2.3:9000 can":  {plainEtcd, "--cluster-advertise-addr=10.1.2.3:9000"},
		"--etcd-tls-cert and --etcd-tls-key belong":   {secureEtcd, "--etcd-tls-cert=cert.pem"},
		"--etcd-tls-... needs https://":               {plainEtcd, "--etcd-tls-ca=ca.pem"},
		"either all of them are https://, or none":    {secureEtcd, plainEtcd},
		"the password would travel in plain HTTP":     {"--etcd-endpoints=http://etcd.example", "--etcd-user=latchkey"},
		"--etcd-password-file needs --etcd-user":      {plainEtcd, "--etcd-password-file=password"},
		"goes into --etcd-user, and not into https:/": {"--etcd-endpoints=https://root:hunter2@etcd.example"},
	} {
		_, err := parse(t, append([]string{"serve"}, args...)...)
		require.ErrorContains(t, err, says)
		require.NotContains(t, err.Error(), "hunter2")
	}
}

// Whoever shares an etcd on another machine is on another machine, too, as a rule.
func TestOutOfReach(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args []string
		is   bool
	}{
		"alone":                 {nil, false},
		"all here":              {[]string{plainEtcd, "--cluster-addr=127.0.0.1:7070"}, false},
		"etcd elsewhere":        {[]string{secureEtcd, "--cluster-addr=127.0.0.1:7070"}, true},
		"the default":           {[]string{secureEtcd}, true},
		"an address of its own": {append([]string{secureEtcd, "--cluster-addr=10.1.2.3:7070"}, clusterTLS...), false},
		"advertised":            {append([]string{secureEtcd, "--cluster-addr=127.0.0.1:7070", "--cluster-advertise-addr=10.1.2.3:7070"}, clusterTLS...), false},
	} {
		config, err := parse(t, append([]string{"serve"}, c.args...)...)
		require.NoError(t, err, name)
		require.Equal(t, c.is, config.OutOfReach(), name)
	}
}

func TestEtcdPassword(t *testing.T) {
	t.Parallel()
	c, err := parse(t, "serve", plainEtcd, "--etcd-user=latchkey", "--etcd-password-file="+writeFile(t, "hunter2\n"))
	require.NoError(t, err)
	password, err := c.EtcdPassword("from the environment")
	require.NoError(t, err)
	require.Equal(t, "hunter2", password)

	c.EtcdPasswordFile = "does-not-exist"
	_, err = c.EtcdPassword("")
	require.ErrorContains(t, err, "--etcd-password-file")

	c.EtcdPasswordFile = ""
	password, err = c.EtcdPassword("hunter3")
	require.NoError(t, err)
	require.Equal(t, "hunter3", password)
	_, err = c.EtcdPassword("")
	require.ErrorContains(t, err, "LATCHKEY_ETCD_PASSWORD")
}
