package config_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/internal/config"
)

// parse runs a parser as the command does, with `serve` and a second command that has another flag.
func parse(t *testing.T, args ...string) (*config.Server, error) {
	t.Helper()
	var cli struct {
		Serve struct{ config.Server } `cmd:""`
		Other struct {
			Locks  int    `default:"1"`
			Server string `env:"LATCHKEY_SERVER"`
		} `cmd:""`
	}
	parser, err := kong.New(&cli, kong.Name("latchkey"), config.NameVariables())
	require.NoError(t, err)
	_, err = parser.Parse(args)
	return &cli.Serve.Server, err
}

func writeFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "latchkey.yaml")
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	c, err := parse(t, "serve")
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1:8080", c.HTTPAddr)
	require.Equal(t, "127.0.0.1:8081", c.OpsAddr)
	require.Equal(t, "./latchkey-data", c.DataDir)
	require.Equal(t, 15*time.Second, c.DrainTimeout)
	require.False(t, c.Insecure)
}

// Each value comes from the strongest source that gives one. Not parallel: it changes the environment.
func TestFlagsWinOverEnvironmentWinsOverFile(t *testing.T) {
	path := writeFile(t, `
http-addr: 127.0.0.1:1001
ops-addr: 127.0.0.1:1002
data-dir: from-file
drain-timeout: 20s
insecure: true
etcd-endpoints: [http://a:2379, http://b:2379]
jwt:
  issuer: nested
`)
	t.Setenv("LATCHKEY_CONFIG", path)
	t.Setenv("LATCHKEY_OPS_ADDR", "127.0.0.1:2002")
	t.Setenv("LATCHKEY_DATA_DIR", "from-environment")
	t.Setenv("LATCHKEY_JWT_AUDIENCE", "doors")
	t.Setenv("LATCHKEY_JWT_HS256_SECRET_FILE", "secret")

	c, err := parse(t, "serve", "--data-dir", "from-flag")
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1:1001", c.HTTPAddr)
	require.Equal(t, "127.0.0.1:2002", c.OpsAddr)
	require.Equal(t, "from-flag", c.DataDir)
	require.Equal(t, 20*time.Second, c.DrainTimeout)
	require.True(t, c.Insecure)
	require.Equal(t, []string{"http://a:2379", "http://b:2379"}, c.EtcdEndpoints)
	require.Equal(t, "nested", c.JWTIssuer)
	require.Equal(t, "doors", c.JWTAudience)
	require.Equal(t, "secret", c.JWTHS256SecretFile)
}

func TestFileByFlag(t *testing.T) {
	t.Parallel()
	c, err := parse(t, "serve", "--config", writeFile(t, "log-level: debug\n"))
	require.NoError(t, err)
	require.Equal(t, "debug", c.LogLevel)
}

// What is wrong is named, with what to do about it.
func TestErrors(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args []string
		says []string
	}{
		"unknown keys in the file": {
			[]string{"--config", writeFile(t, "http-adr: x\ntls: {cart: y}\nhttp-addr: 127.0.0.1:1\n")},
			[]string{"unknown keys: http-adr (did you mean http-addr?), tls-cart (did you mean tls-cert?);"},
		},
		"a key of another command": {[]string{"--config", writeFile(t, "locks: 5\n")}, []string{"unknown keys: locks"}},
		"a file that names a file": {[]string{"--config", writeFile(t, "config: x\n")}, []string{"unknown keys: config"}},
		"no such file":             {[]string{"--config", "does-not-exist.yaml"}, []string{"--config", "does-not-exist.yaml", "no such file"}},
		"no YAML":                  {[]string{"--config", writeFile(t, "a: [\n")}, []string{"--config"}},
		"a wrong value in the file": {
			[]string{"--config", writeFile(t, "drain-timeout: soon\n")}, []string{"--drain-timeout"},
		},
		"plain HTTP for everybody": {[]string{"--http-addr", "0.0.0.0:8080"}, []string{"--tls-cert", "--insecure", "plain HTTP"}},
		"plain HTTP without host":  {[]string{"--http-addr", ":8080"}, []string{"plain HTTP"}},
		"plain HTTP by name":       {[]string{"--http-addr", "door.example:80"}, []string{"plain HTTP"}},
		"a cluster port for everybody": {
			[]string{"--etcd-endpoints", "http://127.0.0.1:2379", "--cluster-addr", "0.0.0.0:9000"},
			[]string{"--cluster-addr", "--cluster-tls-ca", "--cluster-insecure"},
		},
		"a port that is none":      {[]string{"--ops-addr", "127.0.0.1:99999"}, []string{"--ops-addr", "127.0.0.1:99999", "65535"}},
		"a port by name":           {[]string{"--cluster-addr", "127.0.0.1:http"}, []string{"--cluster-addr", "HOST:PORT"}},
		"half of TLS":              {[]string{"--tls-cert", "cert.pem"}, []string{"--tls-cert and --tls-key belong together"}},
		"devices without TLS":      {[]string{"--device-tls-ca", "ca.pem"}, []string{"--device-tls-ca needs --tls-cert"}},
		"another database":         {[]string{"--journal-url", "mysql://u:secret@h/x"}, []string{"--journal-url", "sqlite:", "postgres://"}},
		"a journal without a path": {[]string{"--journal-url", "sqlite:"}, []string{"--journal-url", "sqlite:PATH"}},
		"two errors at once":       {[]string{"--http-addr", "x", "--drain-timeout", "1ms"}, []string{"--http-addr", "--drain-timeout"}},
		"both kinds of token": {
			[]string{"--jwt-jwks", "https://x/jwks", "--jwt-hs256-secret-file", "y"}, []string{"exclude each other"},
		},
		"an issuer without keys":          {[]string{"--jwt-issuer", "https://id.example"}, []string{"--jwt-issuer", "--jwt-jwks"}},
		"an audience without keys":        {[]string{"--jwt-audience", "doors"}, []string{"--jwt-audience", "--jwt-jwks"}},
		"a public address without scheme": {[]string{"--public-url", "keys.example.com"}, []string{"--public-url", "https://"}},
		"etcd without scheme":             {[]string{"--etcd-endpoints", "localhost:2379"}, []string{"--etcd-endpoints", "http://"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := parse(t, append([]string{"serve"}, c.args...)...)
			require.Error(t, err)
			for _, s := range c.says {
				require.ErrorContains(t, err, s)
			}
			require.NotContains(t, err.Error(), "secret@", "a password must not reach the log")
		})
	}
}

// What should be a URL and is none may have a password anywhere, and an error of the start ends up in a log.
func TestPasswordsAreNotShown(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ flag, value, shown string }{
		{"journal-url", "host=127.0.0.1 user=latchkey password=hunter2 dbname=latchkey", "and not what was given"},
		{"journal-url", "latchkey:hunter2@127.0.0.1/latchkey", "latchkey:..."},
		{"journal-url", "jdbc:postgresql://db.example/latchkey?password=hunter2", "jdbc:..."},
		{"journal-url", "mysql://latchkey:hunter2@db.example/latchkey", "mysql://db.example"},
		{"journal-url", "mysql://db.example/latchkey?user=latchkey&password=hunter2#hunter2", "mysql://db.example"},
		{"journal-url", "mysql://hunter2@db.example/latchkey", "mysql://db.example"},
		{"journal-url", "hunter2@db.example:5432/latchkey", "and not what was given"},
		{"etcd-endpoints", "root:hunter2@etcd.example:2379", "root:..."},
		{"etcd-endpoints", "https://root:hunter2@etcd.example:2379", "https://etcd.example:2379"},
		{"etcd-endpoints", "localhost:2379", "localhost:..."},
		{"jwt-jwks", "http://latchkey:hunter2@id.example/jwks", "http://id.example"},
		{"jwt-jwks", "http://id.example/jwks?password=hunter2", "http://id.example"},
		{"jwt-jwks", "http:latchkey:hunter2@id.example/jwks", "http:..."},
	} {
		_, err := parse(t, "serve", "--"+c.flag, c.value)
		require.ErrorContains(t, err, "--"+c.flag)
		require.ErrorContains(t, err, c.shown)
		require.NotContains(t, err.Error(), "hunter2", c.value)
	}
}

func TestPlainHTTPIsAllowed(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"--http-addr", "localhost:1"},
		{"--http-addr", "[::1]:1"},
		{"--http-addr", "127.0.0.9:1"},
		{"--http-addr", ":1", "--insecure"},
		{"--http-addr", ":1", "--tls-cert", "a", "--tls-key", "b"},
	} {
		_, err := parse(t, append([]string{"serve"}, args...)...)
		require.NoError(t, err, args)
	}
}

func TestJournalAt(t *testing.T) {
	t.Parallel()
	for url, want := range map[string][2]string{
		"":                            {"", filepath.Join("data", "journal.db")},
		"sqlite:/var/x.db":            {"", "/var/x.db"},
		"sqlite:x.db":                 {"", "x.db"},
		"postgres://u:p@h/d":          {"postgres://u:p@h/d", ""},
		"postgresql:///d?host=/tmp/x": {"postgresql:///d?host=/tmp/x", ""},
	} {
		postgresURL, path, err := config.JournalAt(url, "data")
		require.NoError(t, err)
		require.Equal(t, want, [2]string{postgresURL, path}, url)
	}
}

// What is wrong with one flag is told once, and under its name.
func TestAWrongClusterAddressIsToldOnce(t *testing.T) {
	t.Parallel()
	_, err := parse(t, "serve", "--cluster-addr", "nonsense")
	require.ErrorContains(t, err, "--cluster-addr")
	require.NotContains(t, err.Error(), "--cluster-advertise-addr")
	_, err = parse(t, "serve", "--cluster-advertise-addr", "nonsense")
	require.ErrorContains(t, err, "--cluster-advertise-addr")
}
