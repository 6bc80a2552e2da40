package app

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/latchkey/latchkey/actors"
	"github.com/latchkey/latchkey/collective"
)

// collectiveKeys makes the keys for several doors.
func (a *App) collectiveKeys(ctx context.Context, locks *actors.Locks) (*collective.Keys, error) {
	c := a.options.Config
	o := collective.Options{Journal: a.journal, Locks: locks, Logger: a.logger}
	secret, err := pinKey(c.DataDir, c.PINKeyFile, a.journal.Shared())
	if err != nil {
		return nil, err
	}
	if secret == nil {
		a.logger.Info("no door can be opened with a PIN: servers that share a journal need --pin-key-file for that")
	} else if o.PINs, err = collective.NewPINs(secret); err != nil {
		return nil, err
	} else if err := o.PINs.Adopt(ctx, a.journal); errors.Is(err, collective.ErrOtherKey) {
		return nil, fmt.Errorf("--pin-key-file: %w", err)
	} else if err != nil {
		return nil, err
	}
	return collective.New(o)
}

// sweep has those keys finished that were left half done.
func (a *App) sweep(keys *collective.Keys) {
	ctx, stop := context.WithCancel(context.Background())
	var sweeper sync.WaitGroup
	sweeper.Go(func() { keys.Sweep(ctx) })
	a.onStop(func(ctx context.Context) error {
		stop()
		return a.endsIn(ctx, "sweep", waits(sweeper.Wait))
	})
}
