package api

import (
	"net/http"
	urlpath "path"
	"strconv"
	"strings"

	"github.com/latchkey/latchkey/api/pages"
	"github.com/latchkey/latchkey/lock"
)

// What a browser is shown when something is wrong. Behind it is a person, who cannot send a request again as a program does.

// wantsPage tells whether the caller is a browser that asked for a page. The pages themselves are for people
// unless a program says otherwise.
func wantsPage(r *http.Request) bool {
	accept := strings.ToLower(strings.Join(r.Header.Values("Accept"), ","))
	if strings.Contains(accept, "text/html") {
		return true
	}
	isPage := (strings.HasPrefix(r.URL.Path, "/temp-keys/") || strings.HasPrefix(r.URL.Path, "/collective-temp-keys/")) && isRead(r)
	return isPage && !strings.Contains(accept, "application/json")
}

func isRead(r *http.Request) bool { return r.Method == http.MethodGet || r.Method == http.MethodHead }

// errorPage is the page of a problem. header is that of the answer.
func errorPage(header http.Header, r *http.Request, p *problem) *pages.Error {
	page := &pages.Error{Status: p.status, Reason: p.reason, Message: p.message, RequestID: traceOf(r).requestID}
	page.Wait, _ = strconv.Atoi(header.Get("Retry-After"))
	key, rest := underKey(r.URL.Path)
	if p.reason != errNoTempKey.Reason && key != "" {
		page.Back = "/temp-keys/" + string(key)
	}
	switch {
	case isRead(r) && key != "" && rest == "confirmation" && (p.status >= http.StatusInternalServerError || p.status == http.StatusTooManyRequests):
		page.Check = confirmationOf(key, r.URL.RawQuery, "")
	case p.status == http.StatusInternalServerError, p.status == http.StatusGatewayTimeout: // of the others it is certain that nothing happened
		page.Check = traceOf(r).confirmation
	}
	return page
}

// underKey takes the address of a key's page, or of what belongs to it, apart. Without a key it is about none.
func underKey(address string) (key lock.TempKeyID, rest string) {
	address, ok := strings.CutPrefix(strings.Replace(address, "/collective-temp-keys/", "/temp-keys/", 1), "/temp-keys/")
	if !ok {
		return "", ""
	}
	uuid, rest, _ := strings.Cut(address, "/")
	key, err := lock.ParseTempKeyID(uuid)
	if err != nil {
		return "", ""
	}
	return key, rest
}

// leadBack leads a browser to the key's page from an address near it, where there is no page: one with a slash too much, as links get
// in mails, or that a form was sent to, which a browser asks for when it opens its tabs again. Nothing opens by that.
func leadBack(w http.ResponseWriter, r *http.Request) bool {
	if !isRead(r) || !strings.Contains(strings.ToLower(r.Header.Get("Accept")), "text/html") {
		return false
	}
	key, rest := underKey(urlpath.Clean(r.URL.Path))
	switch {
	case key == "":
		return false
	case rest == "confirmation":
		lead(w, confirmationOf(key, r.URL.RawQuery, ""))
	default:
		lead(w, "/temp-keys/"+string(key))
	}
	return true
}
