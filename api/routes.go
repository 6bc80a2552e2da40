package api

import (
	"cmp"
	"net/http"

	"github.com/go-chi/chi/v5"
)

// endpoint carries out an operation.
type endpoint struct {
	http.Handler
	rule rule // whom it is for
}

// routes finds endpoints in chi's tree. It does not leave that to chi.Mux, which makes a map of the path's parameters for each
// request: our handlers ask the chi.Context for them.
type routes struct {
	chi.Router
	endpoints map[operation]endpoint
}

// newRoutes finds what was registered at a router.
func newRoutes(r chi.Router, s *spec) (routes, error) {
	found := routes{r, make(map[operation]endpoint)}
	return found, chi.Walk(r, func(method, route string, h http.Handler, _ ...func(http.Handler) http.Handler) error {
		of := operation{method, route}
		found.endpoints[of] = endpoint{h, s.ruleOf(of)}
		return nil
	})
}

// serve hands a request to the endpoint that it is for.
func (rs routes) serve(w http.ResponseWriter, r *http.Request, t *trace) {
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	route := rs.Find(t.route, method, cmp.Or(r.URL.RawPath, r.URL.Path, "/"))
	e, found := rs.endpoints[operation{method, route}]
	if !found {
		t.route.RouteMethod = method
		rs.ServeHTTP(w, r) // answers that there is none
		return
	}
	r.Pattern, t.rule = route, e.rule
	e.ServeHTTP(w, r)
}
