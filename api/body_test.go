package api_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
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

// Bodies that are large and slow have so many places and no more; those of the usual size need none.
func TestLargeBodiesHavePlaces(t *testing.T) {
	t.Parallel()
	for path, places := range map[string]int{"/locks/42/OpenLock": 512, "/bulk/create-temp-keys": 32} {
		t.Run(strings.Trim(path, "/"), func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			s.withLock(superKey)
			var slow []net.Conn
			for range places {
				conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
				require.NoError(t, err)
				defer func() { _ = conn.Close() }()
				_, err = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nX-API-Key: %s\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n{", path, superKey)
				require.NoError(t, err)
				slow = append(slow, conn)
			}
			large := strings.Repeat(" ", 5000) // of which the operation would say that it is nothing
			require.Eventually(t, func() bool {
				a := s.super("POST", path, large)
				if a.status != http.StatusServiceUnavailable {
					return false
				}
				a.requireError(http.StatusServiceUnavailable, "busy")
				require.NotEmpty(t, a.header.Get("Retry-After"))
				return true
			}, 4*time.Second, time.Millisecond)
			require.Equal(t, http.StatusBadRequest, s.super("POST", path, " ").status)
			for _, conn := range slow {
				answer, err := io.ReadAll(conn)
				require.NoError(t, err)
				require.Contains(t, string(answer), "408 Request Timeout")
			}
			require.Equal(t, http.StatusBadRequest, s.super("POST", path, large).status)
		})
	}
}
