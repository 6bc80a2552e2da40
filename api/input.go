package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/latchkey/latchkey/lock"
)

const (
	maxBody     = 64 << 10
	maxBulkBody = 1 << 20 // of the operations whose path begins with bulkPath
	bulkPath    = "/bulk/"
	bodyTimeout = 5 * time.Second
)

// instant is a point in time in the body of a request.
type instant struct{ time.Time }

func (t *instant) readJSON(token json.Token) error {
	text, ok := token.(string)
	if ok {
		// RFC 3339 allows small letters, Go does not.
		if parsed, err := time.Parse(time.RFC3339, strings.ToUpper(text)); err == nil {
			t.Time = parsed
			return nil
		}
	}
	return errors.New("a time such as 2026-05-01T15:00:00+02:00")
}

// optionalLimit is a number, null, or was not named at all.
type optionalLimit struct {
	named bool
	limit *int64
}

func (l *optionalLimit) readJSON(token json.Token) error {
	l.named = true
	if token == nil {
		return nil
	}
	n, ok := wholeNumber(token)
	if !ok || n < 1 || n > int64(lock.MaxID) {
		return errors.New("a whole number from 1 to 9007199254740991, or null for no limit")
	}
	l.limit = &n
	return nil
}

// readBody reads the JSON body of a request into v.
func readBody(w http.ResponseWriter, r *http.Request, v any) error {
	data, err := readAll(w, r)
	if err != nil {
		return err
	}
	if len(data) == 0 {
		return badRequest("body-missing", "", "The request needs a body: one JSON object.")
	}
	return decodeAs(r, data, v)
}

// readOptionalBody reads a body that may be left out.
func readOptionalBody(w http.ResponseWriter, r *http.Request, v any) error {
	data, err := readAll(w, r)
	if err != nil || len(data) == 0 {
		return err
	}
	return decodeAs(r, data, v)
}

func decodeAs(r *http.Request, data []byte, v any) error {
	if mediaType(r) != "application/json" {
		return wrongMediaType("application/json")
	}
	return decode(data, v)
}

func wrongMediaType(want string) error {
	return &problem{status: http.StatusUnsupportedMediaType, reason: "content-type", message: "The body must come with Content-Type: " + want + "."}
}

func mediaType(r *http.Request) string {
	if len(r.Header["Content-Type"]) != 1 {
		return ""
	}
	if t := r.Header["Content-Type"][0]; t == "application/json" || t == "application/x-www-form-urlencoded" {
		return t // as nearly all callers write it
	}
	t, params, err := mime.ParseMediaType(r.Header["Content-Type"][0])
	if err != nil || params["charset"] != "" && !strings.EqualFold(params["charset"], "utf-8") {
		return ""
	}
	return t
}

// readAll reads the body within its bounds of size and time, so that nobody can hold a request open by dripping.
func readAll(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if r.Body == nil || r.ContentLength == 0 {
		return nil, nil
	}
	limit, errTooLarge := int64(maxBody), errTooLarge
	if strings.HasPrefix(r.URL.Path, bulkPath) {
		limit, errTooLarge = maxBulkBody, errBulkTooLarge
	}
	if r.ContentLength > limit {
		return nil, errTooLarge
	}
	c := http.NewResponseController(w)
	// A writer without deadlines is one of a test, or has a body in memory.
	limited := c.SetReadDeadline(time.Now().Add(bodyTimeout)) == nil
	var data bytes.Buffer
	_, err := io.Copy(&data, http.MaxBytesReader(w, r.Body, limit))
	if limited && err == nil {
		// The server goes on reading, to notice when the caller leaves: that must not time out.
		err = c.SetReadDeadline(time.Time{})
	}
	var tooLarge *http.MaxBytesError
	var network net.Error
	switch {
	case err == nil:
		if n := traceOf(r).named; n != nil {
			n.body = data.Bytes()
		}
		return data.Bytes(), nil
	case errors.As(err, &tooLarge):
		return nil, errTooLarge
	case errors.As(err, &network) && network.Timeout():
		w.Header().Set("Connection", "close")
		return nil, errSlowBody
	default:
		return nil, badRequest("body-unreadable", "", "The body ends too early, or is not framed as its headers say.")
	}
}
