//go:build !planted

package tests

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

// What is built for use has none of the bugs that are planted to be found, nor the means to choose one.
func TestProgramHasNoPlantedBug(t *testing.T) {
	t.Parallel()
	list, err := os.ReadFile("../internal/planted/bugs.go")
	require.NoError(t, err)
	names := regexp.MustCompile(`Bug = "([a-z-]+)"`).FindAllSubmatch(list, -1)
	require.Len(t, names, 8)
	program, err := os.ReadFile(binary)
	require.NoError(t, err)
	without := filepath.Join(t.TempDir(), "planted.a")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-tags", "planted", "-o", without, "github.com/latchkey/latchkey/internal/planted").CombinedOutput()
	require.NoError(t, err, string(out))
	with, err := os.ReadFile(without)
	require.NoError(t, err)
	require.Contains(t, string(with), "LATCHKEY_PLANTED", "the test would see it")
	require.False(t, bytes.Contains(program, []byte("LATCHKEY_PLANTED")))
	for _, name := range names {
		require.False(t, bytes.Contains(program, name[1]), "%s", name[1])
	}
}
