package api_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What anybody may send is small.
func TestGuestsSendLittle(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.withLock(superKey)
	s.withKey(superKey, "")
	for path, body := range map[string]string{"/temp-keys/" + keyUUID + "/open": `{}`, "/locks/42/open-with-pin": `{"pin":"123456"}`} {
		fits, large := body+strings.Repeat(" ", 4<<10-len(body)), body+strings.Repeat(" ", 4<<10+1-len(body))
		require.Contains(t, []int{http.StatusSeeOther, http.StatusUnauthorized}, s.call("POST", path, fits).status)
		a := s.call("POST", path, large)
		a.requireError(http.StatusRequestEntityTooLarge, "body-too-large")
		require.Contains(t, a.body, "4096 bytes")
		s.call("POST", path, large, func(r *http.Request) { r.ContentLength = -1 }).requireError(http.StatusRequestEntityTooLarge, "body-too-large")
	}
}

// Bodies that are large and slow have so many places and no more, of which one organisation has a share; those of the usual size need none.
func TestLargeBodiesHavePlaces(t *testing.T) {
	t.Parallel()
	for path, most := range map[string]struct{ all, own int }{"/locks/42/OpenLock": {512, 128}, "/bulk/create-temp-keys": {32, 8}} {
		for who, places := range map[string]int{"all": most.all, "own": most.own} {
			t.Run(strings.Trim(path, "/")+"/"+who, func(t *testing.T) {
				t.Parallel()
				s := newServer(t)
				s.withLock(superKey)
				slowOne, other := superKey, s.orgKey("globex")
				if who == "own" {
					slowOne = s.orgKey("acme")
				}
				ctx, cancel := context.WithCancel(t.Context())
				var slow sync.WaitGroup
				var late atomic.Int64
				for range places + places/8 { // some more, since those that were ended need a moment to come back
					slow.Go(func() {
						for ctx.Err() == nil {
							told, err := s.beginBody(ctx, path, slowOne)
							if err != nil && ctx.Err() == nil {
								t.Error(err)
							}
							if strings.Contains(told, " 408 ") {
								late.Add(1)
							}
						}
					})
				}
				large := strings.Repeat(" ", 5000) // of which the operation says that it is no JSON
				require.Eventually(t, func() bool {
					a := s.call("POST", path, large, as(slowOne))
					if a.status != http.StatusServiceUnavailable {
						return false
					}
					a.requireError(http.StatusServiceUnavailable, "busy")
					require.NotEmpty(t, a.header.Get("Retry-After"))
					return true
				}, time.Minute, time.Millisecond)
				require.Equal(t, http.StatusBadRequest, s.call("POST", path, " ", as(slowOne)).status)
				if who == "own" {
					for range 10 {
						require.Equal(t, http.StatusBadRequest, s.call("POST", path, large, as(other)).status, "the others do not notice")
					}
				}
				require.Eventually(t, func() bool { return late.Load() > 0 }, time.Minute, time.Millisecond)
				cancel()
				slow.Wait()
				require.Eventually(t, func() bool { return s.call("POST", path, large, as(slowOne)).status == http.StatusBadRequest }, time.Minute, time.Millisecond)
			})
		}
	}
}

// beginBody sends the beginning of a large body and gives the first line of what it is answered, until ctx ends.
func (s *server) beginBody(ctx context.Context, path, key string) (string, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		return "", err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	const head = "POST %s HTTP/1.1\r\nHost: x\r\nX-API-Key: %s\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n{"
	if _, err := fmt.Fprintf(conn, head, path, key); err != nil {
		return "", err
	}
	// The refusal of one that has no place comes when its body is there, which it never is.
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	told, err := bufio.NewReader(conn).ReadString('\n')
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = nil
	}
	return told, err
}
