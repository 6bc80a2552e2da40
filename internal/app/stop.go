package app

import (
	"context"
	"time"
)

// leastToEnd is for a step that begins when the time of the stop is used up, and would end at once.
const leastToEnd = 250 * time.Millisecond

// endsIn runs a step of the stop that takes no context, and so may wait for a disk or a database that hangs. After half of the time that is
// left it goes on without it: what was answered is stored, and what was not is not claimed to be.
func (a *App) endsIn(ctx context.Context, part string, step func() error) error {
	deadline, _ := ctx.Deadline()
	late := time.NewTimer(max(time.Until(deadline)/2, leastToEnd))
	defer late.Stop()
	ended := make(chan error, 1)
	go func() { ended <- step() }()
	select {
	case err := <-ended:
		return err
	case <-late.C:
		a.logger.Warn("a part is left as it is, for it did not end in time: does the disk answer, and the database?", "part", part)
		return nil
	}
}

// waits makes a step of what gives no error.
func waits(wait func()) func() error {
	return func() error {
		wait()
		return nil
	}
}
