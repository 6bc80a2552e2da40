package app

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestComplaintsOfTheHTTPServer(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	l := errorLog(slog.New(slog.NewTextHandler(&out, nil)))
	l.Printf("http: TLS handshake error from 192.0.2.7:1: EOF")
	require.Empty(t, out.String(), "strangers do not fill the log")
	l.Printf("http: Accept error: %s; retrying in 5ms", "too many open files")
	require.Contains(t, out.String(), `level=WARN msg="the HTTP server complains" about="http: Accept error: too many open files; retrying in 5ms"`)
	l.Printf("http: panic serving 192.0.2.7:1: oh\ngoroutine 1")
	require.Contains(t, out.String(), "level=ERROR")
}
