package bench

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/latchkey/latchkey/bench/bare"
)

// ServeBare serves the baseline at addr until ctx is done. Lock 1 has listed keys in all.
func ServeBare(ctx context.Context, addr string, locks, listed int) error {
	s := bare.New(locks, lockUUID, keyUUID)
	s.AddKeys(1, listKeys(listed)...)
	server := &http.Server{Addr: addr, Handler: s.Handler(), ReadHeaderTimeout: 10 * time.Second}
	stopped := make(chan error, 1)
	go func() {
		<-ctx.Done()
		stopped <- server.Close()
	}()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-stopped
}
