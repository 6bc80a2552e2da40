package slack

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// roleVariable makes the test binary a process that takes the slack, and tells what it has.
const roleVariable = "SLACK_TEST_ROLE"

func TestMain(m *testing.M) {
	runtime.LockOSThread()
	var err error
	switch os.Getenv(roleVariable) {
	case "":
		os.Exit(m.Run())
	case "usual":
		err = errors.Join(set(usual), os.Setenv(roleVariable, "started anew"))
	case "given": // as by systemd's TimerSlackNSec
		err = set(200 * time.Microsecond)
	}
	if err = errors.Join(err, Take()); err != nil {
		panic(err)
	}
	of := make(chan time.Duration)
	for range 4 {
		go func() { // a thread that the runtime has started
			runtime.LockOSThread()
			d, err := slack()
			if err != nil {
				panic(err)
			}
			of <- d
		}()
	}
	slacks := make([]string, 4)
	for i := range slacks {
		slacks[i] = (<-of).String()
	}
	fmt.Println(os.Getpid(), strings.Join(slacks, " "), strings.Join(os.Args[1:], " "))
}

// take runs such a process, and returns what it has told: the slack of four of its threads, and its arguments.
func take(t *testing.T, role string, args ...string) (told string) {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), self, args...)
	cmd.Env = append(os.Environ(), roleVariable+"="+role)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	require.NoError(t, err)
	id, told, _ := strings.Cut(strings.TrimSpace(string(out)), " ")
	require.Equal(t, fmt.Sprint(cmd.Process.Pid), id, "it is another process")
	return told
}

func TestEveryThreadHasTheSlack(t *testing.T) {
	t.Parallel()
	require.Equal(t, "4ms 4ms 4ms 4ms serve --flag=a b", take(t, "usual", "serve", "--flag=a b"))
}

func TestTheOperatorsSlackStays(t *testing.T) {
	t.Parallel()
	require.NotContains(t, take(t, "given"), "4ms")
}
