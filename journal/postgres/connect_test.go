package postgres

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHostsInTheClear(t *testing.T) {
	t.Parallel()
	for url, want := range map[string][]string{
		"postgres://u@db.example/d":                              {"db.example"},
		"postgres://u@10.0.0.1,db.example:6432/d":                {"10.0.0.1", "db.example"},
		"postgres://u@localhost,db.example/d":                    {"db.example"},
		"postgres://u@db.example/d?sslmode=disable":              {"db.example"},
		"postgres://u@db.example/d?sslmode=allow":                {"db.example"},
		"postgres://u@db.example/d?sslmode=prefer":               {"db.example"},
		"postgres://u@db.example/d?sslmode=require":              nil,
		"postgres://u@a.example,b.example/d?sslmode=verify-full": nil,
		"postgres://u@localhost/d":                               nil,
		"postgres://u@127.0.0.1/d":                               nil,
		"postgres://u@[::1]:5432/d":                              nil,
		"postgres:///d?host=/run/postgresql&user=u":              nil,
	} {
		config, err := parse(Options{URL: url})
		require.NoError(t, err)
		require.Equal(t, want, inTheClear(config.ConnConfig), url)
	}
}
