package sqlite_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/journal/internal/diskfault"
	"github.com/latchkey/latchkey/journal/sqlite"
)

// What must not happen to the process of the tests happens to a child: this test binary, told by the environment what
// to do instead of testing. It says what it did on its standard output, a line each.
const (
	childRole = "LATCHKEY_JOURNAL_CHILD"
	childPath = "LATCHKEY_JOURNAL_CHILD_PATH"
)

var roles = map[string]func(path string) error{
	"write":       writeForEver,
	"hold":        hold,
	"failed sync": func(path string) error { return failWith(path, func() error { return broken(diskfault.FailedSync) }) },
	"failed write": func(path string) error {
		return failWith(path, func() error { return broken(diskfault.FailedWrite) })
	},
	"full disk":       func(path string) error { return failWith(path, func() error { return broken(diskfault.FullDisk) }) },
	"file size limit": func(path string) error { return failWith(path, limitFileSize) },
}

func TestMain(m *testing.M) {
	if role := roles[os.Getenv(childRole)]; role != nil {
		if err := role(os.Getenv(childPath)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// child is a child that runs.
type child struct {
	*exec.Cmd
	lines *bufio.Scanner
}

func start(t *testing.T, role, path string) *child {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childRole+"="+role, childPath+"="+path)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	_, err = cmd.StdinPipe() // which nobody ever writes to
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	return &child{cmd, bufio.NewScanner(out)}
}

// say prints a line that the parent reads even if this process dies right afterwards.
func say(format string, args ...any) { fmt.Fprintf(os.Stdout, format+"\n", args...) }

// happened is an append that claims, and lists, what it says, so that the index can be checked against the records.
func happened(stream string, expected uint64, n int) journal.Append {
	id := fmt.Sprintf("%s@%d", stream, expected)
	a := journal.Append{Stream: stream, Expected: expected, ID: id}
	for range n {
		a.Records = append(a.Records, journal.NewRecord{Type: "Happened", Data: []byte(strings.Repeat(id, 5))})
	}
	a.Index = []journal.IndexChange{
		{Op: journal.Claim, Kind: "append", Key: id},
		{Op: journal.Put, Kind: "appends", Key: stream, Ref: id},
	}
	return a
}

// recordsAtOnce is how many records an append of a stream has. They are many, so that heads are saved between the kills.
func recordsAtOnce(stream int) int { return 1 + 8*(stream%3) }

// writeForEver pipelines appends to many streams, and says which were acknowledged.
func writeForEver(path string) error {
	j, err := sqlite.Open(sqlite.Options{Path: path})
	if err != nil {
		return err
	}
	var writers sync.WaitGroup
	for w := range 16 {
		writers.Go(func() {
			stream := fmt.Sprint("stream ", w)
			version, _, err := j.Head(context.Background(), stream)
			if err != nil {
				panic(err)
			}
			window := make(chan struct{}, 1+w%4)
			for {
				window <- struct{}{}
				a := happened(stream, version, recordsAtOnce(w))
				version += uint64(len(a.Records))
				j.Submit(a, func(r journal.Result) {
					if r.Err != nil {
						panic(r.Err)
					}
					say("acknowledged %s", a.ID)
					<-window
				})
				s := journal.Snapshot{Stream: stream, Version: a.Expected, Data: []byte(a.ID)} // not durable yet, mostly
				if err := j.SaveSnapshot(context.Background(), s); err != nil {
					panic(err)
				}
			}
		})
	}
	writers.Wait()
	return nil
}

// hold opens the journal and keeps it until it is killed.
func hold(path string) error {
	j, err := sqlite.Open(sqlite.Options{Path: path})
	if err != nil {
		return err
	}
	say("open")
	_, err = os.Stdin.Read(make([]byte, 1)) // never
	return errors.Join(err, j.Close())
}

func broken(f diskfault.Fault) error {
	diskfault.Break(f)
	return nil
}

// limitFileSize lets the kernel refuse to make files larger than they are now, more or less.
func limitFileSize() error {
	signal.Ignore(syscall.SIGXFSZ)
	return syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 600 << 10, Max: 600 << 10})
}

// failWith writes for a while, breaks the disk, writes until that shows, and checks that the journal then fails stop.
func failWith(path string, breakDisk func() error) error {
	diskfault.Install()
	failure := make(chan error, 2)
	j, err := sqlite.Open(sqlite.Options{Path: path, OnFailure: func(err error) { failure <- err }})
	if err != nil {
		return err
	}
	ctx := context.Background()
	version := uint64(0)
	one := func() error {
		a := happened("stream", version, 1)
		a.Records[0].Data = make([]byte, 1000)
		if _, err := journal.Do(ctx, j, a); err != nil {
			return err
		}
		version++
		say("acknowledged %s", a.ID)
		return nil
	}
	for range 100 {
		if err := one(); err != nil {
			return err
		}
	}
	if err := breakDisk(); err != nil {
		return err
	}
	// Several are on their way when the disk fails. None of them may be acknowledged after one was not.
	var failed error
	for range 5000 {
		if failed = one(); failed != nil {
			break
		}
	}
	if !errors.Is(failed, journal.ErrFailed) {
		return fmt.Errorf("want ErrFailed, got %v", failed)
	}
	say("unknown %t", errors.Is(failed, journal.ErrUnknown))
	if err := <-failure; !errors.Is(err, journal.ErrFailed) {
		return fmt.Errorf("OnFailure got %w", err)
	}
	diskfault.Break(0) // the disk is well again; the journal must not believe it
	_, read := j.Read(ctx, "stream", 0, 1)
	_, _, head := j.Head(ctx, "stream")
	for what, err := range map[string]error{
		"Healthy": j.Healthy(ctx), "Read": read, "Head": head, "Submit": one(),
		"SaveSnapshot": j.SaveSnapshot(ctx, journal.Snapshot{Stream: "stream", Version: 1}),
		"Close":        j.Close(), "Submit after Close": one(),
	} {
		if !errors.Is(err, journal.ErrFailed) && !errors.Is(err, journal.ErrClosed) {
			return fmt.Errorf("%s: want ErrFailed, got %v", what, err)
		}
	}
	if len(failure) > 0 {
		return errors.New("OnFailure was called twice")
	}
	return nil
}
