package pages

import (
	"io"
	"net/http"
)

// Error is the page of a request that was not carried out.
type Error struct {
	Status    int
	Reason    string
	Message   string
	RequestID string
	Back      string // the key's page; empty when there is none to go back to
}

// Render writes the page.
func (p *Error) Render(w io.Writer) error { return templates.ExecuteTemplate(w, "error.html", p) }

// Title says in a few words what happened.
func (p *Error) Title() string {
	switch p.Status {
	case http.StatusNotFound:
		return "No such key"
	case http.StatusForbidden, http.StatusUnauthorized:
		return "Not opened"
	case http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return "Please try again"
	}
	if p.Status >= http.StatusInternalServerError {
		return "Something went wrong"
	}
	return "That did not work"
}
