package api

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/latchkey/latchkey/tenant"
)

//go:embed openapi.yaml
var openapiYAML []byte

// security says which credentials an operation takes.
type security uint8

const (
	authRequired security = iota // the default: what the document does not set free is closed
	authOptional                 // credentials that are shown must be good
	authNone                     // credentials are not looked at
)

// The values of x-scope beside the scopes of API keys.
const (
	scopePublic tenant.Scope = "public" // no credentials are needed
	scopeSuper  tenant.Scope = "super"  // the super key alone; also of an operation that has no x-scope
)

// rule is what an operation's entry says of its callers.
type rule struct {
	security security
	scope    tenant.Scope
}

// spec is the document as it is served, and what it says about callers.
type spec struct {
	json  []byte
	docs  []byte // the page
	rules map[operation]rule
}

// operation names what a request asks for.
type operation struct {
	method string
	route  string // the template
}

func loadSpec() (*spec, error) {
	var doc map[string]any
	if err := yaml.Unmarshal(openapiYAML, &doc); err != nil {
		return nil, fmt.Errorf("api: openapi.yaml: %w", err)
	}
	data, err := json.Marshal(doc)
	if err != nil {
		return nil, fmt.Errorf("api: openapi.yaml: %w", err)
	}
	var parsed struct {
		Paths map[string]map[string]json.RawMessage
	}
	if err := json.Unmarshal(data, &parsed); err != nil {
		return nil, fmt.Errorf("api: openapi.yaml: %w", err)
	}
	s := &spec{json: data, rules: make(map[operation]rule)}
	for path, item := range parsed.Paths {
		for field, content := range item {
			method := strings.ToUpper(field)
			switch method {
			case http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete:
			default:
				continue // what all operations of the path share
			}
			var entry struct {
				Security *[]map[string][]string
				Scope    tenant.Scope `json:"x-scope"`
			}
			if err := json.Unmarshal(content, &entry); err != nil {
				return nil, fmt.Errorf("api: openapi.yaml: %s %s: %w", method, path, err)
			}
			if entry.Scope == "" {
				entry.Scope = scopeSuper
			}
			s.rules[operation{method, path}] = rule{securityOf(entry.Security), entry.Scope}
		}
	}
	if s.docs, err = docsOf(data); err != nil {
		return nil, err
	}
	return s, nil
}

// ruleOf finds the rule of an operation. What the document does not know is closed to all but the super key.
func (s *spec) ruleOf(o operation) rule {
	if found, ok := s.rules[o]; ok {
		return found
	}
	return rule{authRequired, scopeSuper}
}

// securityOf reads a list of alternatives: an empty list asks for nothing, and an empty alternative makes the others optional.
func securityOf(alternatives *[]map[string][]string) security {
	if alternatives == nil {
		return authRequired
	}
	if len(*alternatives) == 0 {
		return authNone
	}
	for _, a := range *alternatives {
		if len(a) == 0 {
			return authOptional
		}
	}
	return authRequired
}

// GetOpenAPI serves the document.
func (s *server) GetOpenAPI(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "public, max-age=300")
	writeBytes(w, http.StatusOK, mediaJSON, s.spec.json)
}
