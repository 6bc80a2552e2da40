package main

import (
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"
)

// People ask for the version in either way.
func TestVersionAsFlagAndCommand(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"--version"}, {"version"}, {"serve", "--version"}} {
		var c commands
		var out strings.Builder
		ended := false
		parser, err := kong.New(&c, kong.Name("latchkey"), kong.Writers(&out, &out), kong.Exit(func(code int) {
			require.Zero(t, code)
			ended = true
		}))
		require.NoError(t, err)
		run, err := parser.Parse(args)
		if !ended {
			require.NoError(t, err)
			require.NoError(t, run.Run(terminal{&out}))
		}
		require.True(t, strings.HasPrefix(out.String(), "latchkey "+buildVersion()+" (go"), out.String())
	}
}
