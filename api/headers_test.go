package api_test

import (
	"net/http"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"
)

// promised are the headers that programs look at.
var promised = []string{
	"X-Request-Id", "Idempotent-Replayed", "RateLimit", "RateLimit-Policy", "Retry-After", "Allow", "Location", "WWW-Authenticate",
}

// requireHeaders checks that the document has the headers of an answer. Every call of these tests does.
func (a *answer) requireHeaders(o *openapi3.Operation) {
	a.t.Helper()
	response := o.Responses.Status(a.status)
	if response == nil {
		response = o.Responses.Default()
	}
	for _, name := range promised {
		if a.header[name] != nil {
			require.Contains(a.t, response.Value.Headers, name, "%s %d", o.OperationID, a.status)
		}
	}
}

// Of an address that takes other methods the document has no operation that an answer could be held against.
func TestTheDocumentHasTheHeadersOfEveryFailure(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	a := s.call("PUT", "/temp-keys", "")
	a.requireError(http.StatusMethodNotAllowed, "method-not-allowed")
	all, err := contracts()
	require.NoError(t, err)
	a.requireHeaders(all[0].doc.Paths.Value("/temp-keys").Post)
	require.Contains(t, all[0].doc.Components.Responses["Failed"].Value.Content, "text/plain", "of a server that is starting")
}
