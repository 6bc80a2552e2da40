// Package pgtest runs a throw-away PostgreSQL from the binaries of this machine, for tests and benchmarks: the real
// server with fsync on, in a temporary folder, on a Unix socket and on a port of the loopback interface. A machine
// without the binaries is told what to install; nothing is skipped.
package pgtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// User is the superuser of the server, Password what it needs on the loopback interface. The Unix socket lies in a
	// folder that only this user can enter, and asks for nothing.
	User     = "latchkey"
	Password = "pgtest-secret"

	startPatience = 30 * time.Second
	stopPatience  = 30 * time.Second
	startAttempts = 5 // a free port may be taken before the server has it
	pollEvery     = 10 * time.Millisecond
)

// settings are those that differ from the defaults. fsync stays on.
var settings = map[string]string{
	"max_connections": "400",
	"shared_buffers":  "128MB",
	"max_wal_size":    "1GB",
}

// errEnded is a server that did not start, perhaps because another process has taken its port.
var errEnded = errors.New("pgtest: PostgreSQL ended")

// Server is a running PostgreSQL.
type Server struct {
	bin  string // folder of the binaries
	dir  string
	who  *syscall.Credential // nil: this user
	port int
	more []string // further settings, as arguments
	cmd  *exec.Cmd
	over chan struct{} // closed when the process has ended
}

// Start makes a server in a new temporary folder inside parent ("": the system's) and waits until it answers. More
// settings are given as name=value.
func Start(ctx context.Context, parent string, more ...string) (_ *Server, err error) {
	s := &Server{more: more}
	if s.bin, err = binaries(); err != nil {
		return nil, err
	}
	if s.who, err = unprivileged(); err != nil {
		return nil, err
	}
	if err := s.makeFolder(parent); err != nil {
		return nil, err
	}
	if err = s.initialize(ctx); err == nil {
		err = s.firstStart(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(s.dir))
	}
	return s, nil
}

// makeFolder makes a folder that only the server's user can enter.
func (s *Server) makeFolder(parent string) (err error) {
	if s.dir, err = os.MkdirTemp(parent, "latchkey-pg-"); err != nil || s.who == nil {
		return err
	}
	return os.Chown(s.dir, int(s.who.Uid), int(s.who.Gid))
}

// firstStart finds a port for the server and starts it.
func (s *Server) firstStart(ctx context.Context) (err error) {
	for range startAttempts {
		if s.port, err = freePort(); err != nil {
			return err
		}
		if err = s.Up(ctx); !errors.Is(err, errEnded) {
			return err
		}
	}
	return err
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }
func (s *Server) log() string  { return filepath.Join(s.dir, "log") }

// initialize makes the data folder. It need not survive a power cut, hence no sync of it.
func (s *Server) initialize(ctx context.Context) error {
	password := filepath.Join(s.dir, "password")
	if err := os.WriteFile(password, []byte(Password), 0o644); err != nil { // the folder around it is closed
		return err
	}
	out, err := s.command(ctx, "initdb", "--no-sync", "--pgdata", s.data(), "--encoding", "UTF8", "--locale", "C",
		"--username", User, "--pwfile", password, "--auth-local", "trust", "--auth-host", "scram-sha-256").CombinedOutput()
	if err != nil {
		return fmt.Errorf("pgtest: initdb: %w\n%s", err, out)
	}
	return s.letNeighboursIn()
}

// letNeighboursIn lets other machines on the networks of this one in, with the password, if the server listens there.
func (s *Server) letNeighboursIn() error {
	hosts, err := os.OpenFile(filepath.Join(s.data(), "pg_hba.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = hosts.WriteString("host all all samenet scram-sha-256\n")
	return errors.Join(err, hosts.Close())
}

func (s *Server) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(s.bin, name), args...)
	cmd.Dir = s.dir
	cmd.SysProcAttr = attributes(s.who)
	return cmd
}

// Up starts the server again after Stop or Kill, at the same addresses.
func (s *Server) Up(ctx context.Context) error {
	args := []string{"-D", s.data(), "-k", s.dir, "-p", strconv.Itoa(s.port), "-c", "listen_addresses=127.0.0.1"}
	for name, value := range settings {
		args = append(args, "-c", name+"="+value)
	}
	for _, setting := range s.more {
		args = append(args, "-c", setting)
	}
	log, err := os.OpenFile(s.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	s.cmd = s.command(context.WithoutCancel(ctx), "postgres", args...)
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if err := s.cmd.Start(); err != nil {
		return err
	}
	over := make(chan struct{})
	s.over = over
	go func(cmd *exec.Cmd) {
		_ = cmd.Wait() // how it ended is in its log
		close(over)
	}(s.cmd)
	if err := s.answers(ctx); err != nil {
		return errors.Join(err, s.Kill())
	}
	return nil
}

// answers waits until the server takes connections.
func (s *Server) answers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, s.URL("postgres"))
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-s.over:
			return fmt.Errorf("%w:\n%s", errEnded, s.logTail())
		case <-ctx.Done():
			return fmt.Errorf("pgtest: PostgreSQL does not answer: %w\n%s", err, s.logTail())
		case <-time.After(pollEvery):
		}
	}
}

func (s *Server) logTail() []byte {
	const tail = 4 << 10
	content, err := os.ReadFile(s.log())
	if err != nil {
		return []byte(err.Error())
	}
	return bytes.TrimSpace(content[max(0, len(content)-tail):])
}

// URL is how to reach a database through the Unix socket.
func (s *Server) URL(database string) string {
	u := url.URL{Scheme: "postgres", User: url.User(User), Path: "/" + database, RawQuery: url.Values{
		"host": {s.dir}, "port": {strconv.Itoa(s.port)},
	}.Encode()}
	return u.String()
}

// Addr is the server's address on the loopback interface, and TCP how to reach a database there.
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// TCP is how to reach a database through an address: Addr, or something that forwards to it.
func (s *Server) TCP(addr, database string) string {
	u := url.URL{Scheme: "postgres", User: url.UserPassword(User, Password), Host: addr, Path: "/" + database}
	return u.String()
}

// Kill ends the server as a crash would, without its postmaster telling anybody.
func (s *Server) Kill() error { return s.end(syscall.SIGQUIT) }

// Stop ends the server in good order, cutting off its clients.
func (s *Server) Stop() error { return s.end(syscall.SIGINT) }

func (s *Server) end(signal syscall.Signal) error {
	if s.cmd == nil || s.cmd.Process == nil {
		return nil
	}
	if err := s.cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-s.over:
		return nil
	case <-time.After(stopPatience):
		return errors.Join(errors.New("pgtest: PostgreSQL did not stop"), s.cmd.Process.Kill())
	}
}

// Remove stops the server and removes its folder.
func (s *Server) Remove() error { return errors.Join(s.Kill(), os.RemoveAll(s.dir)) }

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}

// Standby starts a server that follows this one, in a folder of its own.
func (s *Server) Standby(ctx context.Context) (*Server, error) {
	standby := &Server{bin: s.bin, who: s.who, more: s.more}
	if err := standby.makeFolder(filepath.Dir(s.dir)); err != nil {
		return nil, err
	}
	backup := s.command(ctx, "pg_basebackup", "--pgdata", standby.data(), "--write-recovery-conf", "--checkpoint", "fast",
		"--no-sync", "--host", s.dir, "--port", strconv.Itoa(s.port), "--username", User)
	out, err := backup.CombinedOutput()
	if err == nil {
		err = standby.firstStart(ctx)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("pgtest: standby: %w\n%s", err, out), os.RemoveAll(standby.dir))
	}
	return standby, nil
}

// Promote makes a standby the primary.
func (s *Server) Promote(ctx context.Context) error {
	return s.Exec(ctx, "postgres", "SELECT 1/pg_promote()::int")
}
