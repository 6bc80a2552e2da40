package api

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// A body is in memory as a whole, so its size and time are bounded, and how many there may be of the larger ones: nobody can
// fill the server's memory by announcing much and dripping. What guests and strangers may send is small.
const (
	maxGuestBody = 4 << 10 // of operations that need no credentials
	maxBody      = 64 << 10
	maxBulkBody  = 1 << 20 // of the operations whose path begins with bulkPath
	bulkPath     = "/bulk/"
	bodyTimeout  = 5 * time.Second

	// So many bodies that may be larger than a guest's are read at a time, and so many of them of one organisation or user.
	maxLargeBodies, maxOwnLargeBodies = 512, 128
	maxBulkBodies, maxOwnBulkBodies   = 32, 8
)

// bodies are the places of the bodies that are being read.
type bodies struct{ large, bulk *places }

func newBodies() bodies {
	return bodies{large: newPlaces(maxLargeBodies, maxOwnLargeBodies), bulk: newPlaces(maxBulkBodies, maxOwnBulkBodies)}
}

// bodyBound is how large the body of a request may be, and where those take a place that are larger than a guest's.
type bodyBound struct {
	most   int64
	places *places
}

// boundOf gives the bound of an operation's bodies.
func (b bodies) boundOf(r *http.Request, rule rule) bodyBound {
	switch {
	case rule.scope == scopePublic:
		return bodyBound{most: maxGuestBody}
	case strings.HasPrefix(r.URL.Path, bulkPath):
		return bodyBound{maxBulkBody, b.bulk}
	default:
		return bodyBound{maxBody, b.large}
	}
}

func (b bodyBound) errTooLarge() error {
	return &problem{status: http.StatusRequestEntityTooLarge, reason: "body-too-large", message: fmt.Sprintf("The body may have up to %d bytes.", b.most)}
}

func errEncoding(encoding string) error {
	return &problem{
		status: http.StatusUnsupportedMediaType, reason: "content-encoding",
		message: fmt.Sprintf("The body comes with Content-Encoding: %s. It is taken as it is only: send it without.", encoding),
	}
}

// readAll reads the body within its bounds of size and time, so that nobody can hold a request open by dripping.
func (s *server) readAll(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	t := traceOf(r)
	bound := t.body
	switch encoding := strings.Join(r.Header["Content-Encoding"], ", "); {
	case r.Body == nil || r.ContentLength == 0:
		return nil, nil
	case encoding != "" && !strings.EqualFold(encoding, "identity"):
		return nil, errEncoding(encoding)
	case r.ContentLength > bound.most:
		return nil, bound.errTooLarge()
	case bound.most > maxGuestBody && (r.ContentLength < 0 || r.ContentLength > maxGuestBody):
		leave := bound.places.take(t.caller)
		if leave == nil {
			return nil, ErrBusy
		}
		defer leave()
	}
	c := http.NewResponseController(w)
	// A writer without deadlines is one of a test, or has a body in memory.
	limited := c.SetReadDeadline(time.Now().Add(bodyTimeout)) == nil
	var data bytes.Buffer
	_, err := io.Copy(&data, http.MaxBytesReader(w, r.Body, bound.most))
	s.owe(r, (data.Len()-1)/bytesPerToken) // the first of them is the request's own
	if limited && err == nil {
		// The server goes on reading, to notice when the caller leaves: that must not time out.
		err = c.SetReadDeadline(time.Time{})
	}
	var tooLarge *http.MaxBytesError
	var network net.Error
	switch {
	case err == nil:
		if n := t.named; n != nil {
			n.body = data.Bytes()
		}
		return data.Bytes(), nil
	case errors.As(err, &tooLarge):
		return nil, bound.errTooLarge()
	case errors.As(err, &network) && network.Timeout():
		w.Header().Set("Connection", "close")
		return nil, errSlowBody
	default:
		return nil, badRequest("body-unreadable", "", "The body ends too early, or is not framed as its headers say.")
	}
}
