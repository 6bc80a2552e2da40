package bench

import (
	"context"
	"errors"
	"net/http"
	"os"
	"time"

	"github.com/latchkey/latchkey/bench/bare"
)

// ServeBare serves the baseline at addr until ctx is done. Lock 1 has listed keys in all. Unless store is empty, it names the
// file that opens are written to.
func ServeBare(ctx context.Context, addr string, locks, listed int, store string) error {
	s := bare.New(locks, lockUUID, keyUUID)
	s.AddKeys(1, listKeys(listed)...)
	if store != "" {
		file, err := os.OpenFile(store, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
		if err != nil {
			return err
		}
		defer func() { _ = file.Close() }() // every line of it was synced
		s.Store(file)
	}
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
