// Command latchkey is the server that lets guests through doors, with all that belongs to running one.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"github.com/latchkey/latchkey/internal/config"
)

// version is set by the build.
var version = ""

const (
	superKeyVariable     = config.SuperKeyVariable
	etcdPasswordVariable = config.EtcdPasswordVariable
)

type commands struct {
	Serve   serveCommand   `cmd:"" help:"Run a server."`
	Demo    demoCommand    `cmd:"" help:"Run a server with three simulated locks and a guest link to each."`
	Sim     simCommand     `cmd:"" help:"Simulate locks that connect to a server, with good or bad firmware."`
	Bench   benchCommand   `cmd:"" help:"Measure a server on this machine, against one that stores nothing."`
	Bare    bareCommand    `cmd:"" name:"bench-bare" hidden:""`
	Admin   adminCommand   `cmd:"" help:"Organisations, API keys and locks, as the operator."`
	Verify  verifyCommand  `cmd:"" help:"Check a journal from end to end."`
	Version versionCommand `cmd:"" help:"Tell which version this is."`

	VersionFlag versionFlag `name:"version" help:"Tell which version this is, and end."`
}

const description = `Latchkey lets guests through doors.

Flags can also be given in the environment, where a variable is shown with them, and those of a server in the YAML file of --config. Flags win over the environment, which wins over the file.`

// terminal is where a command writes what a person asked for. Logs go to stderr.
type terminal struct{ io.Writer }

func main() {
	var c commands
	parser := kong.Must(&c, kong.Name("latchkey"), kong.Description(description), kong.ShortUsageOnError(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true}), config.NameVariables())
	run, err := parser.Parse(os.Args[1:])
	parser.FatalIfErrorf(err)

	ctx := stopOnSignal(context.Background())
	run.BindTo(ctx, (*context.Context)(nil))
	if err := run.Run(terminal{os.Stdout}); err != nil {
		complain(os.Stderr, err)
		os.Exit(1)
	}
}

// complain says why a command failed. A server's words may have others' in them.
func complain(out io.Writer, err error) { fmt.Fprintln(escaping{out}, "latchkey:", err) }

// sameSignal is how long further signals count as the first one: some tools signal a process and its group at once.
const sameSignal = 300 * time.Millisecond

// stopOnSignal ends the context at the first SIGTERM or SIGINT. The second one ends the process at once, for whoever
// does not want to wait for the drain.
func stopOnSignal(parent context.Context) context.Context {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		cancel(errors.New((<-signals).String()))
		first := time.Now()
		for s := range signals {
			if time.Since(first) > sameSignal {
				slog.Error("stopping at once", "signal", s.String())
				os.Exit(1)
			}
		}
	}()
	return ctx
}
