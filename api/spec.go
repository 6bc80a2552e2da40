package api

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"

	"go.yaml.in/yaml/v3"
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

// spec is the document as it is served, and what it says about security.
type spec struct {
	json     []byte
	security map[operation]security
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
		Paths map[string]struct {
			Get, Post *struct{ Security *[]map[string][]string }
		}
	}
	if err := json.Unmarshal(data, &parsed); err != nil {
		return nil, fmt.Errorf("api: openapi.yaml: %w", err)
	}
	s := &spec{json: data, security: make(map[operation]security)}
	for path, item := range parsed.Paths {
		if item.Get != nil {
			s.security[operation{http.MethodGet, path}] = securityOf(item.Get.Security)
		}
		if item.Post != nil {
			s.security[operation{http.MethodPost, path}] = securityOf(item.Post.Security)
		}
	}
	return s, nil
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
