// Command localcluster is `make cluster`: three servers on this machine that share an etcd and a PostgreSQL, simulated locks that
// connect to them, a balancer in front, and a person who may kill any of the servers and watch. Nothing of it outlives it.
//
// The servers are processes of the real program, so that they can be killed. A killed one is started again after a while. The
// etcd is in this process, the PostgreSQL is a throw-away one from the binaries of this machine.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"golang.org/x/sync/errgroup"

	"github.com/latchkey/latchkey/cluster/embedded"
	"github.com/latchkey/latchkey/internal/demo"
	"github.com/latchkey/latchkey/journal/postgres/pgtest"
)

const (
	nodeCount = 3
	database  = "latchkey"
)

func main() {
	var o options
	flag.StringVar(&o.program, "program", "bin/latchkey", "the server's binary")
	flag.StringVar(&o.dir, "dir", "latchkey-data/cluster", "folder of what the servers log; it is emptied")
	flag.IntVar(&o.port, "port", 8080, "port of the balancer; the servers take those after it")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := run(ctx, o); err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, "cluster:", err)
		os.Exit(1)
	}
}

type options struct {
	program, dir string
	port         int
}

func run(ctx context.Context, o options) (err error) {
	doors := filepath.Join(o.dir, "demo")
	if err := errors.Join(os.RemoveAll(o.dir), os.MkdirAll(doors, 0o700)); err != nil {
		return err
	}
	logger := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	fmt.Println("starting an etcd, a PostgreSQL and three servers")
	etcd, err := embedded.Start(ctx, embedded.Options{Dir: filepath.Join(o.dir, "etcd"), ClientAddr: "127.0.0.1:0", Logger: logger})
	if err != nil {
		return err
	}
	defer etcd.Close()
	store, err := pgtest.Start(ctx, "")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Remove()) }()
	if err := store.CreateDatabase(ctx, database); err != nil {
		return err
	}

	superKey := rand.Text() + rand.Text()
	var nodes []*node
	var urls []string
	for i := range nodeCount {
		n := &node{
			name: fmt.Sprintf("node-%d", i+1), dir: o.dir, program: o.program, http: addr(o.port + 1 + i), ops: addr(o.port + 101 + i),
			environment: append(os.Environ(), "LATCHKEY_SUPER_KEY="+superKey, "LATCHKEY_JOURNAL_URL="+store.TCP(store.Addr(), database)),
			etcd:        "http://" + etcd.Endpoint(),
		}
		nodes, urls = append(nodes, n), append(urls, "http://"+n.http)
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, n := range nodes {
		group.Go(func() error { return n.keep(ctx) })
	}
	group.Go(func() error { return balance(ctx, addr(o.port), urls) })
	group.Go(func() error {
		for _, n := range nodes {
			if err := n.awaitReady(ctx); err != nil {
				return err
			}
		}
		front := "http://" + addr(o.port)
		if err := tell(o.dir, front, superKey, nodes); err != nil {
			return err
		}
		return demo.Run(ctx, demo.Options{
			Dir: doors, Server: front, Nodes: urls, PublicURL: front, OpsURL: "http://" + nodes[0].ops,
			SuperKey: superKey, Out: os.Stdout, Logger: logger,
		})
	})
	group.Go(func() error { watch(ctx, nodes); return nil })
	return group.Wait()
}

func addr(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

// tell prints the servers, and how to kill one. What scripts/kill-a-node needs is in a file too.
func tell(dir, front, superKey string, nodes []*node) error {
	fmt.Print("\nThree servers share the work; each can be killed at any time:\n\n")
	for _, n := range nodes {
		fmt.Printf("  %s  http://%s  kill -9 %d   (its log: %s)\n", n.name, n.http, n.pid.Load(), n.log())
	}
	fmt.Printf("\nor, in another terminal, kill one and open all doors again and again:\n\n  scripts/kill-a-node 2\n\n"+
		"A killed server is started again after %s. The links below lead to any server that lives.\n", revivedAfter)
	return os.WriteFile(filepath.Join(dir, "cluster.env"), fmt.Appendf(nil, "url=%s\nkey=%s\nlocks='101 102 103'\n", front, superKey), 0o600)
}
