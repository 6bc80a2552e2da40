// Package embedded runs an etcd server inside the process, so that one binary needs no other server.
//
// By default the server has no socket at all: clients of this process call it directly, so nothing on the machine can reach
// the membership, and no port is taken. With a client address it serves other processes as any etcd does.
package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/fileutil"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.uber.org/zap/zapcore"
)

const (
	// A single server has no peer to wait for, so its raft may tick fast; the election is over within a tenth of a second.
	tickMillis     = 10
	electionMillis = 100

	// Membership changes rarely, so an hour of history is a few kilobytes.
	compactionRetention = "1h"

	// etcd warns about every default, and calls a new directory an error. What fails is returned to its caller anyway.
	logLevel = zapcore.DPanicLevel

	// etcd allocates its log in pieces of this size, two at a time: a list of members does not need 64 MB each.
	logPiece = 2 << 20

	// The peer address is only a name here: raft needs one for its only member, and nobody listens on it.
	peerName = "http://127.0.0.1:1"
)

// init is the only place where no server runs yet: etcd keeps the size in a variable.
func init() { wal.SegmentSizeBytes = logPiece }

// Options says where the server keeps its data and whether other processes may call it.
type Options struct {
	Dir        string       // its data; made when missing
	ClientAddr string       // host:port for other processes (port 0 takes a free one); none by default
	Logger     *slog.Logger // gets what etcd dies of
	// Afresh says that the data is worth nothing to the next server: each begins without any. So no damage to it, which etcd
	// may well end the process for, keeps a server from starting.
	Afresh bool
}

func (o Options) validate() error {
	if o.Dir == "" {
		return errors.New("embedded: no directory for the data of etcd")
	}
	if o.Logger == nil {
		return errors.New("embedded: no logger")
	}
	return nil
}

// Server is a running etcd server of one member.
type Server struct {
	etcd *embed.Etcd
	lock *fileutil.LockedFile // nil unless it began afresh
}

// Start runs a server on the data in o.Dir and returns when it can serve. Another process that has the same data open makes
// it wait, and fail when ctx is done.
func Start(ctx context.Context, o Options) (*Server, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("embedded: directory of etcd: %w", err)
	}
	lock, err := begin(ctx, o)
	if err != nil {
		return nil, err
	}
	s, err := start(ctx, o)
	if err != nil {
		return nil, errors.Join(err, unlock(lock))
	}
	s.lock = lock
	return s, nil
}

// begin removes the data of the last server when it is worth nothing, once no other process uses it.
func begin(ctx context.Context, o Options) (lock *fileutil.LockedFile, err error) {
	if !o.Afresh {
		return nil, nil
	}
	for {
		lock, err = fileutil.TryLockFile(filepath.Join(o.Dir, lockName), os.O_CREATE|os.O_RDWR, 0o600)
		if err == nil || !errors.Is(err, fileutil.ErrLocked) {
			break
		}
		select {
		case <-time.After(lockPause):
		case <-ctx.Done():
			return nil, inUse(ctx, o)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("embedded: lock of etcd: %w", err)
	}
	if err := os.RemoveAll(filepath.Join(o.Dir, dataName)); err != nil {
		return nil, errors.Join(fmt.Errorf("embedded: old data of etcd: %w", err), lock.Close())
	}
	return lock, nil
}

func unlock(lock *fileutil.LockedFile) error {
	if lock == nil {
		return nil
	}
	return lock.Close()
}

func inUse(ctx context.Context, o Options) error {
	return fmt.Errorf("embedded: etcd on %s did not start, does another process use it? %w", o.Dir, context.Cause(ctx))
}

const (
	lockName  = "lock"
	dataName  = "member" // as etcd calls it
	lockPause = 50 * time.Millisecond
)

func start(ctx context.Context, o Options) (*Server, error) {
	type result struct {
		etcd *embed.Etcd
		err  error
	}
	started := make(chan result, 1)
	go func() { // StartEtcd takes no context, and waits for ever for the lock of its files
		defer func() {
			if reason := recover(); reason != nil { // what it dies of, such as a full disk, it has logged
				started <- result{nil, fmt.Errorf("it gave up: %v", reason)}
			}
		}()
		etcd, err := embed.StartEtcd(config(o))
		started <- result{etcd, err}
	}()
	select {
	case r := <-started:
		if r.err != nil {
			return nil, fmt.Errorf("embedded: start etcd on %s: %w", o.Dir, r.err)
		}
		s := &Server{etcd: r.etcd}
		if err := s.awaitReady(ctx); err != nil {
			return nil, err
		}
		return s, nil
	case <-ctx.Done():
		go func() { // whenever it does start, nobody wants it any more
			if r := <-started; r.etcd != nil {
				r.etcd.Close()
			}
		}()
		return nil, inUse(ctx, o)
	}
}

func (s *Server) awaitReady(ctx context.Context) error {
	select {
	case <-s.etcd.Server.ReadyNotify():
		return nil
	case err := <-s.etcd.Err():
		s.Close()
		return fmt.Errorf("embedded: etcd stopped while it started: %w", err)
	case <-ctx.Done():
		s.Close()
		return fmt.Errorf("embedded: etcd elected no leader: %w", context.Cause(ctx))
	}
}

// Client returns a client that calls the server directly. Close it before the server.
func (s *Server) Client() *clientv3.Client { return v3client.New(s.etcd.Server) }

// Endpoint is the address for clients of other processes, empty when the server has none.
func (s *Server) Endpoint() string {
	if len(s.etcd.Clients) == 0 {
		return ""
	}
	return s.etcd.Clients[0].Addr().String()
}

// Close stops the server; its data can be opened again at once.
func (s *Server) Close() {
	s.etcd.Close()
	_ = unlock(s.lock) // which closes a file that nobody wrote to
}

func config(o Options) *embed.Config {
	peer, _ := url.Parse(peerName)
	c := embed.NewConfig()
	c.Name = "latchkey"
	c.Dir = o.Dir
	c.TickMs, c.ElectionMs = tickMillis, electionMillis
	c.AutoCompactionMode, c.AutoCompactionRetention = embed.CompactorModePeriodic, compactionRetention
	c.ListenPeerUrls, c.ListenClientUrls, c.AdvertiseClientUrls = nil, nil, nil
	c.AdvertisePeerUrls = []url.URL{*peer}
	c.InitialCluster = c.InitialClusterFromName(c.Name)
	if o.ClientAddr != "" {
		client := []url.URL{{Scheme: "http", Host: o.ClientAddr}}
		c.ListenClientUrls, c.AdvertiseClientUrls = client, client
	}
	c.ZapLoggerBuilder = embed.NewZapLoggerBuilder(ZapLogger(o.Logger, logLevel))
	return c
}

// StartTimeout is long enough for a slow disk and short enough for a person who waits.
const StartTimeout = 30 * time.Second
