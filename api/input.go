package api

import (
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/latchkey/latchkey/lock"
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
