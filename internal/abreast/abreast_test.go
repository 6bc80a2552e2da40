package abreast_test

import (
	"flag"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/internal/abreast"
)

func TestMain(m *testing.M) {
	abreast.Tests()
	os.Exit(m.Run())
}

func slots(t *testing.T) int {
	n, err := strconv.Atoi(flag.Lookup("test.parallel").Value.String())
	require.NoError(t, err)
	return n
}

func TestThereAreSlots(t *testing.T) {
	t.Parallel()
	if want := os.Getenv("WANT"); want != "" {
		require.Equal(t, want, strconv.Itoa(slots(t)))
		return
	}
	for _, c := range []struct{ flag, want string }{{"-test.v", "4"}, {"-test.parallel=3", "3"}} {
		again := exec.CommandContext(t.Context(), os.Args[0], "-test.run=TestThereAreSlots", c.flag)
		again.Env = append(os.Environ(), "WANT="+c.want, "GOMAXPROCS=2")
		out, err := again.CombinedOutput()
		require.NoError(t, err, string(out))
	}
}
