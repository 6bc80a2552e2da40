package tests

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// Each fuzz target that fails fails `make fuzz`, whatever the go command has to say of it; and so does one that could not run. Only
// the end of a target's time is no failure.
func TestFuzzScript(t *testing.T) {
	t.Parallel()
	const failed = "--- FAIL: FuzzFrame (30.02s)\n%sFAIL\nexit status 1\nFAIL\tpackage\t30.03s\n"
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "frame_test.go"), []byte("func FuzzFrame(f *testing.F) {\n"), 0o600))
	for name, c := range map[string]struct {
		says   string
		status int
		passes bool
	}{
		"all is well":      {"PASS\nok  \tpackage\t30.02s\n", 0, true},
		"the time is over": {fmt.Sprintf(failed, "    context deadline exceeded\n"), 1, true},
		"it was too slow for an input": {fmt.Sprintf(failed,
			"    context deadline exceeded\n    Failing input written to testdata/fuzz/FuzzFrame/5838cdfae7b16cde\n"), 1, false},
		"it speaks of a deadline itself": {fmt.Sprintf(failed,
			"    --- FAIL: FuzzFrame/seed#0 (0.00s)\n        frame_test.go:5: read: context deadline exceeded\n"), 1, false},
		"it does not compile": {"# package\nframe_test.go:5:2: undefined: x\nFAIL\tpackage [build failed]\nFAIL\n", 1, false},
		"go cannot run it":    {"go: module lookup disabled by GOPROXY=off\n", 1, false},
		"go is killed":        {"fuzz: elapsed: 3s, execs: 5 (2/sec), new interesting: 0 (total: 1)\n", 137, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			said := filepath.Join(t.TempDir(), "said")
			require.NoError(t, os.WriteFile(said, []byte(c.says), 0o600))
			command := exec.CommandContext(t.Context(), "../scripts/fuzz", "1s")
			command.Env = append(os.Environ(), "GO=sh testdata/go", "GO_DIR="+dir, "GO_SAYS="+said, fmt.Sprintf("GO_STATUS=%d", c.status))
			out, err := command.CombinedOutput()
			require.Contains(t, string(out), c.says)
			require.Equal(t, c.passes, err == nil, "%v: %s", err, out)
		})
	}
}
