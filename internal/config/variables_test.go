package config_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/internal/config"
)

// Not parallel: they change the environment.

// A variable whose name is nearly that of a setting would set nothing, without a word.
func TestMistypedVariables(t *testing.T) {
	t.Setenv("LATCHKEY_HTPT_ADDR", "127.0.0.1:1")
	t.Setenv("LATCHKEY_SUPERKEY", "x")
	_, err := parse(t, "serve")
	require.ErrorContains(t, err, "$LATCHKEY_HTPT_ADDR sets nothing: did you mean $LATCHKEY_HTTP_ADDR?")
	require.ErrorContains(t, err, "$LATCHKEY_SUPERKEY sets nothing: did you mean $LATCHKEY_SUPER_KEY?")
}

// Settings of other commands, secrets, and what Kubernetes makes of a service with our name are no mistakes; what is like
// no setting is named and stops nobody.
func TestVariablesOfOthers(t *testing.T) {
	t.Setenv("LATCHKEY_HTTP_ADDR", "127.0.0.1:1")
	for _, name := range []string{
		config.SuperKeyVariable, config.EtcdPasswordVariable, "LATCHKEY_SERVICE_HOST", "LATCHKEY_SERVICE_PORT", "LATCHKEY_SERVICE_PORT_HTTP",
		"LATCHKEY_PORT", "LATCHKEY_PORT_8080_TCP", "LATCHKEY_PORT_8080_TCP_ADDR", "LATCHKEYHTTP_ADDR", "latchkey_http_addr",
	} {
		t.Setenv(name, "1")
	}
	t.Setenv("LATCHKEY_SERVER", "5") // of the second command
	t.Setenv("LATCHKEY_LOCKS", "5")  // a flag of it that has no variable
	t.Setenv("LATCHKEY_IMAGE_TAG_FOR_COMPOSE", "1")
	t.Setenv("LATCHKEY_ENV", "1") // no shorter name is a mistake just because it is short
	c, err := parse(t, "serve")
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1:1", c.HTTPAddr)
	require.Equal(t, []string{"LATCHKEY_LOCKS", "LATCHKEY_IMAGE_TAG_FOR_COMPOSE", "LATCHKEY_ENV"}, c.StrangeVariables())
}
