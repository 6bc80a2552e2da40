package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strings"
	"time"
)

// instant is a point in time in the body of a request.
type instant struct{ time.Time }

func (t *instant) readJSON(token json.Token) error {
	text, _ := token.(string)
	text = strings.ToUpper(text) // RFC 3339 allows small letters, Go does not
	parsed, err := time.Parse(time.RFC3339, text)
	if err == nil && strictly(text) {
		t.Time = parsed
		return nil
	}
	if _, err := time.Parse("2006-01-02T15:04:05", text); err == nil {
		return errors.New("a time such as 2026-05-01T15:00:00+02:00: its offset is missing, which is Z for UTC")
	}
	return errors.New("a time such as 2026-05-01T15:00:00+02:00")
}

// strictly tells whether a time that time.Parse takes is RFC 3339 where Parse is lenient: it also takes hours of one digit, a comma before
// the fraction, and an offset of a whole day.
func strictly(text string) bool {
	offset := text[len(text)-len("+00:00"):]
	return text[len("2006-01-02T15")] == ':' && !strings.Contains(text, ",") &&
		(strings.HasSuffix(text, "Z") || offset[1:3] < "24" && offset[4:] < "60")
}

// optionalLimit is a number, null, or was not named at all. The kernel has its bounds.
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
	if !ok {
		return errors.New("a whole number from 1 to 9007199254740991, or null for no limit")
	}
	l.limit = &n
	return nil
}

// readBody reads the JSON body of a request into v.
func (s *server) readBody(w http.ResponseWriter, r *http.Request, v any) error {
	data, err := s.readAll(w, r)
	if err != nil {
		return err
	}
	if len(data) == 0 {
		return badRequest("body-missing", "", "The request needs a body: one JSON object.")
	}
	return decodeAs(r, data, v)
}

// readOptionalBody reads a body that may be left out.
func (s *server) readOptionalBody(w http.ResponseWriter, r *http.Request, v any) error {
	data, err := s.readAll(w, r)
	if err != nil || len(data) == 0 {
		return err
	}
	return decodeAs(r, data, v)
}

func decodeAs(r *http.Request, data []byte, v any) error {
	if mediaType(r) != "application/json" {
		return wrongMediaType(r, "application/json")
	}
	return decode(data, v)
}

func wrongMediaType(r *http.Request, want string) error {
	message := "The body must come with Content-Type: " + want + "."
	if _, params, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err == nil && !isUTF8(params) {
		message += fmt.Sprintf(" It must be in UTF-8, and not in the charset %q.", params["charset"])
	}
	return &problem{status: http.StatusUnsupportedMediaType, reason: "content-type", message: message}
}

// isUTF8 tells whether the parameters of a media type leave UTF-8.
func isUTF8(params map[string]string) bool {
	return params["charset"] == "" || strings.EqualFold(params["charset"], "utf-8")
}

func mediaType(r *http.Request) string {
	if len(r.Header["Content-Type"]) != 1 {
		return ""
	}
	if t := r.Header["Content-Type"][0]; t == "application/json" || t == "application/x-www-form-urlencoded" {
		return t // as nearly all callers write it
	}
	t, params, err := mime.ParseMediaType(r.Header["Content-Type"][0])
	if err != nil || !isUTF8(params) {
		return ""
	}
	return t
}
