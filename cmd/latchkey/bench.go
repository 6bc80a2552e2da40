package main

import (
	"context"
	"os"
	"time"

	"github.com/latchkey/latchkey/bench"
)

type benchCommand struct {
	Callers   []int         `default:"1,16,64,256" placeholder:"N" help:"Levels of concurrency (${default})."`
	Period    time.Duration `default:"500ms" placeholder:"DURATION" help:"Length of each turn of a server (${default})."`
	Rounds    int           `default:"24" placeholder:"N" help:"Rounds of such turns at each measurement (${default})."`
	Locks     int           `default:"1000" placeholder:"N" help:"Locks that are connected under load (${default})."`
	IdleLocks int           `default:"10000" placeholder:"N" help:"Locks that are connected to measure memory; 0: leave it out (${default})."`
	ListKeys  int           `default:"20" placeholder:"N" help:"Temporary keys of the lock that is listed (${default})."`
	Profile   string        `type:"path" placeholder:"FILE" help:"Write a CPU profile of the server under the most callers."`
}

// Run measures this very program against the bare server, in the same run.
func (c *benchCommand) Run(ctx context.Context, out terminal) error {
	return bench.Run(ctx, bench.Options{
		Callers: c.Callers, Period: c.Period, Rounds: c.Rounds, Locks: c.Locks, IdleLocks: c.IdleLocks, ListKeys: c.ListKeys, Profile: c.Profile,
		Progress: os.Stderr, Out: out,
	})
}

// bareCommand serves the baseline of the benchmark, which starts it by itself.
type bareCommand struct {
	Addr   string `arg:""`
	Locks  int    `arg:""`
	Listed int    `arg:""`
	Store  string `arg:"" optional:""`
}

// Run serves until a signal comes.
func (c *bareCommand) Run(ctx context.Context) error {
	return bench.ServeBare(ctx, c.Addr, c.Locks, c.Listed, c.Store)
}
