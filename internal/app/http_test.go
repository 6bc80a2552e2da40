package app_test

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/internal/app"
)

// A stranger who announces a body and never sends it is answered, and cut off: the handlers that refuse such requests do not
// read the body, and the server would wait for it for ever.
func TestHalfABodyHoldsNoConnection(t *testing.T) {
	t.Parallel()
	a, err := app.Start(t.Context(), options(t))
	require.NoError(t, err)
	defer func() { require.NoError(t, a.Stop()) }()
	var conns []net.Conn
	for _, line := range []string{
		"POST /locks/1/OpenLock", // without credentials
		"GET /openapi.json",
		"GET /devices/x/connect",
	} {
		c, err := net.Dial("tcp", strings.TrimPrefix(a.URL(), "http://"))
		require.NoError(t, err)
		defer func() { require.NoError(t, c.Close()) }()
		require.NoError(t, c.SetReadDeadline(time.Now().Add(patience)))
		_, err = fmt.Fprintf(c, "%s HTTP/1.1\r\nHost: door\r\nContent-Length: 1000\r\n\r\nhalf", line)
		require.NoError(t, err)
		conns = append(conns, c)
	}
	for _, c := range conns {
		answer, err := io.ReadAll(c)
		require.NoError(t, err, "the server closes the connection")
		require.Contains(t, string(answer), "HTTP/1.1 ")
	}
}
