package tests

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	mrand "math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/journal/sqlite"
	"github.com/latchkey/latchkey/sim"
)

// server is a `latchkey serve` that can be killed, and started again in the same folder and on the same address. What its
// clients ask for goes to the ledger, and what its devices' motors do to their record, so that the invariants can be
// checked in the end.
type server struct {
	*process
	dir, url, ops string
	superKey      string
	args          []string
	program       string             // in place of the one that all run
	env           []string           // besides the environment
	clocksDiffer  bool               // from node to node
	inside        func(func()) error // runs the program somewhere else; nil: on this machine
	web           *http.Client
	ledger        *ledger
	motors        *sim.Recorder
}

var servingPattern = regexp.MustCompile(`(?m)msg=serving http=\S+ ops=(http\S+)`)

// newServer starts a server in a new folder.
func newServer(t *testing.T, args ...string) *server {
	t.Helper()
	return newServerOf(t, "", args...)
}

// newMeasuredServer starts one whose speed is looked at.
func newMeasuredServer(t *testing.T) *server {
	t.Helper()
	program, err := forUse()
	require.NoError(t, err)
	return newServerOf(t, program)
}

func newServerOf(t *testing.T, program string, args ...string) *server {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 256}
	t.Cleanup(transport.CloseIdleConnections)
	clients := &server{
		program: program, superKey: rand.Text() + rand.Text(), ledger: newLedger(), motors: sim.NewRecorder(nil), web: newClient(transport),
	}
	s := clients.beside(t, args...)
	s.start(t)
	return s
}

func newClient(transport http.RoundTripper) *http.Client {
	return &http.Client{Transport: transport, Timeout: 20 * time.Second, CheckRedirect: browser.CheckRedirect}
}

// beside makes a server in a new folder and on a new address, with the same super key, clients and motors. It is not running yet.
func (s *server) beside(t *testing.T, args ...string) *server {
	t.Helper()
	n := *s
	n.dir = filepath.Join(t.TempDir(), "data")
	keyFile := filepath.Join(t.TempDir(), "super-key")
	require.NoError(t, os.WriteFile(keyFile, []byte(s.superKey), 0o600))
	addr := quietAddr(t)
	n.url = "http://" + addr
	n.args = append([]string{
		"serve", "--data-dir", n.dir, "--http-addr", addr, "--ops-addr", "127.0.0.1:0", "--super-key-file", keyFile,
		"--rate-per-address", "0", "--rate-per-target", "0", // a test's whole crowd has one address
	}, args...)
	return &n
}

// start starts the program, again after a kill, and waits until it serves.
func (s *server) start(t *testing.T) {
	t.Helper()
	s.begin(t)
	s.awaitServing(t)
}

// begin starts the program and waits for nothing.
func (s *server) begin(t *testing.T) {
	t.Helper()
	cmd := exec.Command(cmp.Or(s.program, binary), s.args...)
	cmd.Env = append(os.Environ(), s.env...)
	if s.inside == nil {
		s.process = run(t, cmd)
	} else {
		require.NoError(t, s.inside(func() { s.process = run(t, cmd) }))
	}
	p := s.process
	t.Cleanup(func() {
		for _, bad := range []string{"DATA RACE", "panic", "goroutine 1 ["} {
			if strings.Contains(p.stderr(), bad) {
				t.Errorf("the server wrote %q:\n%s", bad, p.stderr())
			}
		}
	})
}

func (s *server) awaitServing(t *testing.T) {
	t.Helper()
	s.waitFor(t, "the server serves", func(_, stderr string) bool { return servingPattern.MatchString(stderr) })
	s.ops = match(t, servingPattern, s.stderr())
}

// restart kills the server with signal 9 and starts it again.
func (s *server) restart(t *testing.T) {
	t.Helper()
	s.kill()
	s.start(t)
}

// conclude stops the server in good order, checks the invariants, and returns the whole journal.
func (s *server) conclude(t *testing.T) []journal.Record {
	t.Helper()
	s.signal(t, syscall.SIGTERM)
	require.Equal(t, 0, s.exit(t), s.stderr())
	records := s.records(t)
	requireInvariants(t, s.evidence(records))
	return records
}

func (s *server) evidence(records []journal.Record) *evidence {
	return &evidence{
		epoch: s.ledger.epoch, acts: s.ledger.all(), moves: s.motors.Movements(), records: records, clocksDiffer: s.clocksDiffer,
	}
}

// records reads the journal of a server that has ended, in whatever way.
func (s *server) records(t *testing.T) []journal.Record {
	t.Helper()
	j, err := sqlite.Open(sqlite.Options{Path: filepath.Join(s.dir, "journal.db")})
	require.NoError(t, err)
	defer j.Close()
	records, err := readAll(t.Context(), j)
	require.NoError(t, err)
	return records
}

func readAll(ctx context.Context, j journal.Journal) (all []journal.Record, err error) {
	const page = 1000
	for {
		after := uint64(0)
		if len(all) > 0 {
			after = all[len(all)-1].Position
		}
		records, err := j.ReadAll(ctx, after, page)
		if err != nil {
			return all, err
		}
		if all = append(all, records...); !journal.Full(records, page) {
			return all, nil
		}
	}
}

// Addresses come from below the range that the kernel hands out by itself, so that no outgoing connection takes the port of a
// server that is down for a moment.
const firstQuietPort, quietPorts = 20_000, 12_000

var (
	quietMu    sync.Mutex
	quietTaken = make(map[int]bool)
)

func quietAddr(t *testing.T) string {
	t.Helper()
	quietMu.Lock()
	defer quietMu.Unlock()
	for range 100 {
		port := firstQuietPort + mrand.N(quietPorts)
		if quietTaken[port] {
			continue
		}
		addr := fmt.Sprintf("127.0.0.1:%d", port)
		l, err := net.Listen("tcp", addr)
		if err != nil {
			continue
		}
		quietTaken[port] = true
		require.NoError(t, l.Close())
		return addr
	}
	require.Fail(t, "no port is free")
	return ""
}
