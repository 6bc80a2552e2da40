package slack_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// threads runs a program without C, as those that people use are built.
func threads(t *testing.T, args ...string) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"run", "./testdata/threads"}, args...)...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	require.NoError(t, err)
	return strings.Fields(string(out))
}

func TestEveryThreadGetsTheSlack(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{"50µs", "1ms", "1ms"}, threads(t))
}

func TestTheOperatorsSlackStays(t *testing.T) {
	t.Parallel()
	require.NotContains(t, threads(t, "given"), "1ms")
}
