package main

import (
	"maps"
	"slices"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/internal/config"
)

// What lets a server behind a proxy speak plain HTTP says nothing of the way to it. Not parallel: it changes the environment.
func TestInsecureOfAServerIsNotTheOperators(t *testing.T) {
	t.Setenv("LATCHKEY_INSECURE", "true")
	o := &operator{t, "http://192.0.2.1:9", writeKey(t, testSuperKey)}
	_, err := o.run("lock", "create", "7")
	require.ErrorContains(t, err, "the super key would travel in plain HTTP")
}

// Each of these means to the command what it means to a server, or is nothing to servers.
func TestVariablesOfCommandsThatAreNoServers(t *testing.T) {
	t.Parallel()
	var c commands
	parser, err := kong.New(&c, kong.Name("latchkey"), config.NameVariables())
	require.NoError(t, err)
	found := make(map[string]bool)
	for _, command := range parser.Model.Leaves(false) {
		if command.Name == "serve" || command.Name == "demo" {
			continue
		}
		for _, group := range command.AllFlags(false) {
			for _, f := range group {
				for _, name := range f.Envs {
					found[name] = true
				}
			}
		}
	}
	require.Equal(t, []string{
		"LATCHKEY_CA_FILE", "LATCHKEY_DATA_DIR", "LATCHKEY_JOURNAL_URL", "LATCHKEY_LOG_FORMAT", "LATCHKEY_LOG_LEVEL", "LATCHKEY_SERVER", "LATCHKEY_SUPER_KEY_FILE",
	}, slices.Sorted(maps.Keys(found)))
}
