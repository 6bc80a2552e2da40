package app

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
)

// callerKey is that of a request's connection in its context.
type callerKey struct{}

// withCaller is the ConnContext of the HTTP server.
func withCaller(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, callerKey{}, conn)
}

// watch tells the account of callers which requests are being carried out: from when all of a request is there until something of
// the answer is written, or nothing is left to write. Before and after that it is for the caller to go on, who may take their time.
func (c *callers) watch(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a := &asking{ResponseWriter: w, callers: c}
		a.conn, _ = r.Context().Value(callerKey{}).(net.Conn)
		if r.ContentLength == 0 { // which says of HTTP/2, too, that no body comes
			a.begin()
		} else {
			r.Body = &awaited{r.Body, a}
		}
		defer a.end()
		next.ServeHTTP(a, r)
	})
}

// asking is a request, and the writer of its answer. Only the goroutine of its handler uses it.
type asking struct {
	http.ResponseWriter
	callers       *callers
	conn          net.Conn
	begun, rested bool
}

func (a *asking) begin() {
	if !a.begun && !a.rested {
		a.begun = true
		a.callers.begin(a.conn)
	}
}

// rest is called for each part of the answer: who takes it is not the one who has waited longest.
func (a *asking) rest() {
	a.callers.rest(a.conn, a.begun && !a.rested)
	a.rested = true
}

func (a *asking) end() {
	if !a.rested {
		a.rest()
	}
}

func (a *asking) Write(data []byte) (int, error) {
	a.rest()
	return a.ResponseWriter.Write(data)
}

// Hijack is for the devices' WebSockets.
func (a *asking) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return http.NewResponseController(a.ResponseWriter).Hijack()
}

// Unwrap lets an http.ResponseController reach the connection.
func (a *asking) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// awaited is the body of a request, which is carried out when all of it is there.
type awaited struct {
	io.ReadCloser
	asking *asking
}

func (b *awaited) Read(data []byte) (int, error) {
	n, err := b.ReadCloser.Read(data)
	if err != nil {
		b.asking.begin()
	}
	return n, err
}
