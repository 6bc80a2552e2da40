package cluster_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/latchkey/latchkey/cluster"
	"github.com/latchkey/latchkey/cluster/embedded"
)

func runEtcd() {
	in, s := bufio.NewReader(os.Stdin), setup{}
	read(in, &s)
	server, err := embedded.Start(context.Background(), embedded.Options{
		Dir: s.Dir, ClientAddr: s.Addr, Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	})
	check(err)
	write(report{Addr: server.Endpoint()})
	_, _ = io.Copy(io.Discard, in)
	server.Close()
}

// ear is where a child listens to other members.
const ear = "ear"

func runNode() {
	in, s, alive := bufio.NewReader(os.Stdin), setup{}, &live{names: map[string]int{}}
	read(in, &s)
	props := actor.PropsFromProducer(func() actor.Actor { return &grain{live: alive} })
	metrics := prometheus.NewRegistry()
	o := cluster.Options{
		Registerer: metrics,
		Addr:       s.Addr, EtcdDir: s.Dir, LeaseTTL: s.LeaseTTL, WatchDelay: s.Delay, Kinds: map[string]*actor.Props{"grain": props},
		TLS: s.TLS, EtcdTLS: s.EtcdTLS, EtcdUser: s.EtcdUser, EtcdPassword: s.EtcdPassword, StartTimeout: s.StartTimeout,
		Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	}
	if s.Etcd != "" {
		o.EtcdEndpoints = []string{s.Etcd}
	}
	node, err := cluster.Start(context.Background(), o)
	check(err)
	alive.node.Store(node)
	write(report{ID: node.System().ID, Addr: node.System().Address()})
	node.Listen(ear, func(msg any) {
		n := alive.heard.Add(1) - 1
		if s, ok := msg.(*wrapperspb.StringValue); !ok || s.Value != fmt.Sprint(n) {
			alive.heard.Add(-1 << 40) // something else, or not in order
		}
	})
	c := &child{node: node, alive: alive, metrics: metrics}
	for {
		var next order
		if !read(in, &next) {
			return
		}
		write(c.obey(next))
	}
}

// child runs the orders of the parent.
type child struct {
	node    *cluster.Node
	alive   *live
	metrics *prometheus.Registry
	load    *load
}

func (c *child) obey(o order) report {
	switch o.Op {
	case "state":
		return c.state()
	case "ask": // every key once, or so many times
		l := newLoad(c.node, o)
		l.limit = int64(o.Keys) * int64(max(o.Times, 1))
		l.start(o.Workers)
		l.done.Wait()
		return l.report()
	case "load": // until unload
		c.load = newLoad(c.node, o)
		c.load.start(o.Workers)
		return report{}
	case "tell": // every key, to the ear of every member
		for i := range o.Keys {
			for _, m := range c.node.Members() {
				if !c.node.TellMember(m.ID, ear, wrapperspb.String(fmt.Sprint(i))) {
					return report{Errors: []string{m.ID + " is no member"}}
				}
			}
		}
		if c.node.TellMember("nobody", ear, wrapperspb.String("")) || c.node.TellMember(c.node.System().ID, ear, "no protobuf") {
			return report{Errors: []string{"told nobody, or nothing"}}
		}
		return report{}
	case "local": // every key that is this node's
		for i := range o.Keys {
			c.node.TellLocal("grain", fmt.Sprint(i), wrapperspb.String("hello"))
		}
		return report{}
	case "passivate":
		c.node.Each(func(_, _ string, pid *actor.PID) { c.node.System().Root.Stop(pid) })
		return report{}
	case "wait": // for an answer that does not come
		ctx, cancel := context.WithTimeout(context.Background(), o.Timeout)
		defer cancel()
		begin := time.Now()
		_, err := c.node.Request(ctx, "grain", o.Key, &emptypb.Empty{})
		return report{Errors: []string{err.Error()}, Slowest: time.Since(begin)}
	case "untravelled":
		_, err := c.node.Request(context.Background(), "grain", o.Key, "no protobuf")
		return report{Errors: []string{err.Error()}}
	case "progress":
		return c.load.report()
	case "unload":
		close(c.load.stop)
		c.load.done.Wait()
		return c.load.report()
	case "drain":
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		begin := time.Now()
		err := c.node.Drain(ctx)
		took := time.Since(begin)
		if err = errors.Join(err, goleak.Find()); err != nil {
			return report{Errors: []string{err.Error()}}
		}
		return report{Slowest: took}
	}
	panic("unknown order " + o.Op)
}

func (c *child) state() report {
	r := report{ID: c.node.System().ID, Told: int(c.alive.told.Load()), Heard: int(c.alive.heard.Load()), Asked: int(c.alive.asked.Load())}
	r.Late = int(c.alive.late.Load())
	r.Evictions, r.Evicting = c.evictions()
	runtime.GC()
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	r.Heap, r.Waiting = memory.HeapAlloc, c.gauge("latchkey_cluster_outbox_waiting")
	r.Cut = c.gauge("latchkey_cluster_peers_unreachable")
	r.Expiry = c.gauge("latchkey_cluster_certificate_expiry_timestamp_seconds")
	for _, m := range c.node.Members() {
		r.Members = append(r.Members, m.ID)
	}
	c.alive.mu.Lock()
	for name := range c.alive.names {
		r.Identities = append(r.Identities, name)
	}
	c.alive.mu.Unlock()
	slices.Sort(r.Identities)
	if err := c.node.Ready(); err != nil {
		r.Ready = err.Error()
	}
	select {
	case <-c.node.Lost():
		r.Lost = true
	default:
	}
	return r
}

func (c *child) gauge(name string) float64 {
	families, err := c.metrics.Gather()
	check(err)
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	return -1
}

// evictions counts the changes of the members that moved grains away, and how long it took in all until these were gone.
func (c *child) evictions() (n int, took time.Duration) {
	families, err := c.metrics.Gather()
	check(err)
	for _, f := range families {
		if f.GetName() == "latchkey_cluster_eviction_seconds" {
			h := f.GetMetric()[0].GetHistogram()
			return int(h.GetSampleCount()), time.Duration(h.GetSampleSum() * float64(time.Second))
		}
	}
	return 0, 0
}

// load sends requests from several workers and keeps an account of them.
type load struct {
	node    *cluster.Node
	keys    int64
	limit   int64 // of requests, 0 for none
	timeout time.Duration
	padding string
	again   bool
	next    atomic.Int64
	stop    chan struct{}
	done    sync.WaitGroup

	mu    sync.Mutex
	total report
}

func newLoad(node *cluster.Node, o order) *load {
	return &load{
		node: node, keys: int64(o.Keys), timeout: o.Timeout, padding: strings.Repeat(" ", o.Size), again: o.Again,
		stop: make(chan struct{}), total: report{Owners: map[string]int{}},
	}
}

func (l *load) start(workers int) {
	for range workers {
		l.done.Go(func() {
			for {
				n := l.next.Add(1)
				select {
				case <-l.stop:
					return
				default:
				}
				if l.limit > 0 && n > l.limit {
					return
				}
				l.request(fmt.Sprint(n % l.keys))
			}
		})
	}
}

func (l *load) request(identity string) {
	ctx, cancel := context.WithTimeout(context.Background(), l.timeout)
	defer cancel()
	begin := time.Now()
	message := wrapperspb.String(identity + l.padding)
	answer, err := l.node.Request(ctx, "grain", identity, message)
	for l.again && errors.Is(err, cluster.ErrUnknown) && ctx.Err() == nil {
		answer, err = l.node.Request(ctx, "grain", identity, message)
	}
	took := time.Since(begin)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total.Requests++
	l.total.Slowest = max(l.total.Slowest, took)
	switch {
	case err == nil:
		l.total.Owners[answer.(*wrapperspb.StringValue).Value]++
		return
	case errors.Is(err, cluster.ErrUnknown):
		l.total.Unknown++
	default:
		l.total.Failed++
		if errors.Is(err, cluster.ErrBusy) {
			l.total.Busy++
		}
	}
	if len(l.total.Errors) < 5 {
		l.total.Errors = append(l.total.Errors, fmt.Sprintf("%s after %v: %v", identity, took, err))
	}
}

func (l *load) report() report {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.total
	r.Owners = maps.Clone(r.Owners)
	return r
}

func read(in *bufio.Reader, into any) bool {
	line, err := in.ReadBytes('\n')
	if errors.Is(err, io.EOF) {
		return false
	}
	check(err)
	check(json.Unmarshal(line, into))
	return true
}

func write(r report) { check(json.NewEncoder(os.Stdout).Encode(r)) }

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
