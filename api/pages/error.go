package pages

import (
	"fmt"
	"io"
	"net/http"
)

// Error is the page of a request that was not carried out, or of which nobody knows.
type Error struct {
	Status    int
	Reason    string
	Message   string // for programs, where a guest is not told something else
	RequestID string
	Back      string // the key's page; empty when there is none to go back to
	Check     string // where it is told what became of the open; empty: none was asked for, or it is certain that none happened
	Wait      int    // for how many seconds the server wants to hear nothing; 0: it does not say
}

// Render writes the page.
func (p *Error) Render(w io.Writer) error { return templates.ExecuteTemplate(w, "error.html", p) }

// recheck is after how many seconds the page looks what became of the open.
const recheck = 3

// Refresh is in how many seconds the page leads on; 0 is never.
func (p *Error) Refresh() int {
	if p.Check == "" {
		return 0
	}
	return max(recheck, p.Wait)
}

// Title says in a few words what happened.
func (p *Error) Title() string {
	if p.Check != "" {
		return "We cannot tell right now"
	}
	switch p.Reason {
	case "route-not-found", "method-not-allowed":
		return "Nothing here"
	case "door-not-found", "door-invalid":
		return "No such door"
	}
	switch p.Status {
	case http.StatusNotFound:
		return "No such key"
	case http.StatusForbidden, http.StatusUnauthorized:
		return "Not opened"
	case http.StatusServiceUnavailable, http.StatusGatewayTimeout, http.StatusTooManyRequests:
		return "Please try again"
	}
	if p.Status >= http.StatusInternalServerError {
		return "Something went wrong"
	}
	return "That did not work"
}

// Text says it to a guest, with what to do.
func (p *Error) Text() string {
	switch {
	case p.Check != "":
		return "What became of your request is not known yet. It is not repeated. The door may have opened: try it."
	case p.Status == http.StatusTooManyRequests && p.Wait > 0:
		return fmt.Sprintf("Too many requests came at once. Nothing was opened. Try again in %s.", plural(int64(p.Wait), "second"))
	}
	return textOf(errorTexts, p.Reason, p.Message)
}

const (
	askForANewOne = " Ask whoever sent it to you for a new one."
	openTheLink   = "There is nothing at this address. Open the link once more, whole, as it was sent to you."
	tapOnceMore   = "Nothing was opened. Go back to the key and tap Open once more."
	noSuchDoor    = "The key has no such door. Go back to the key and choose one."
)

// errorTexts are for those of whom a program is told something else than a person.
var errorTexts = map[string]string{
	"route-not-found":        openTheLink,
	"method-not-allowed":     openTheLink,
	"temp-key-not-found":     "There is no such key, or it was deleted. Ask whoever sent you the link for a new one.",
	"temp-key-uuid-invalid":  "There is no such key. Open the link once more, whole, as it was sent to you.",
	"temp-key-expired":       "This key is not valid any more." + askForANewOne,
	"temp-key-used-up":       "This key has been used as often as it may be." + askForANewOne,
	"temp-key-not-yet-valid": "This key does not open now. Its page says when it does.",
	"temp-key-not-for-you":   "This key is for certain people only. Open it in the app of whoever sent it to you, signed in.",
	"door-not-found":         noSuchDoor,
	"door-invalid":           noSuchDoor,
	"request-id-reused":      "This tap was taken for another one. " + tapOnceMore,
	"idempotency-key-reused": "This tap was taken for another one. " + tapOnceMore,
	"body-too-slow":          "Your tap did not arrive whole. " + tapOnceMore,
	"busy":                   "There is too much to do right now. " + tapOnceMore,
	"too-many-opens":         "Too many people open this door right now. " + tapOnceMore,
	"unavailable":            "A part of the server cannot be reached right now. Nothing was opened. Try again in a moment.",
	"timeout":                "The answer did not come in time. Try again in a moment.",
	"internal":               "Something failed on our side. Try again. If it happens once more, tell whoever sent you the key the number below.",
}
