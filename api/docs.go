package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/latchkey/latchkey/api/pages"
)

// reference is what the page about the API reads of openapi.yaml.
type reference struct {
	Info  struct{ Title, Summary, Description string }
	Tags  []struct{ Name, Description string }
	Paths map[string]map[string]json.RawMessage

	Components struct {
		Parameters map[string]referenceParameter
		Responses  map[string]referenceResponse
		Schemas    map[string]json.RawMessage
	}
}

type (
	referenceParameter struct {
		Ref         string `json:"$ref"`
		Name        string
		In          string
		Description string
		Required    bool
	}
	referenceContent map[string]struct {
		Schema struct {
			Ref string `json:"$ref"`
		}
		Example json.RawMessage
	}
	referenceResponse struct {
		Ref         string `json:"$ref"`
		Description string
		Content     referenceContent
	}
	referenceOperation struct {
		OperationID string
		Summary     string
		Description string
		Tags        []string
		Scope       string `json:"x-scope"`
		Parameters  []referenceParameter
		RequestBody struct{ Content referenceContent }
		Responses   map[string]referenceResponse
	}
)

// docsOf renders the page about the API. It has all that openapi.yaml has, and needs nothing of any other host.
func docsOf(document []byte) ([]byte, error) {
	var doc reference
	if err := json.Unmarshal(document, &doc); err != nil {
		return nil, fmt.Errorf("api: openapi.yaml: %w", err)
	}
	page := &pages.Docs{Title: doc.Info.Title, Summary: doc.Info.Summary, Description: doc.Info.Description}
	byTag := make(map[string]*pages.DocsTag)
	page.Tags = make([]pages.DocsTag, len(doc.Tags))
	for i, t := range doc.Tags {
		page.Tags[i] = pages.DocsTag{Name: t.Name, Description: t.Description}
		byTag[t.Name] = &page.Tags[i]
	}
	for _, path := range slices.Sorted(maps.Keys(doc.Paths)) {
		item := doc.Paths[path]
		var shared []referenceParameter
		if err := json.Unmarshal(orEmpty(item["parameters"]), &shared); err != nil {
			return nil, fmt.Errorf("api: openapi.yaml: %s: %w", path, err)
		}
		for _, method := range []string{"get", "post", "put", "patch", "delete"} {
			if item[method] == nil {
				continue
			}
			var o referenceOperation
			if err := json.Unmarshal(item[method], &o); err != nil {
				return nil, fmt.Errorf("api: openapi.yaml: %s %s: %w", method, path, err)
			}
			if len(o.Tags) != 1 || byTag[o.Tags[0]] == nil {
				return nil, fmt.Errorf("api: openapi.yaml: %s %s needs one of the document's tags", method, path)
			}
			o.Parameters = append(shared, o.Parameters...)
			tag := byTag[o.Tags[0]]
			tag.Operations = append(tag.Operations, doc.operation(strings.ToUpper(method), path, &o))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(doc.Components.Schemas)) {
		page.Schemas = append(page.Schemas, pages.DocsSchema{Name: name, JSON: indented(doc.Components.Schemas[name])})
	}
	var b bytes.Buffer
	err := page.Render(&b)
	return b.Bytes(), err
}

func (doc *reference) operation(method, path string, o *referenceOperation) pages.DocsOperation {
	d := pages.DocsOperation{ID: o.OperationID, Method: method, Path: path, Scope: o.Scope, Summary: o.Summary, Description: o.Description}
	for _, p := range o.Parameters {
		if p.Ref != "" {
			p = doc.Components.Parameters[nameOf(p.Ref)]
		}
		d.Parameters = append(d.Parameters, pages.DocsParameter{Name: p.Name, In: p.In, Description: p.Description, Required: p.Required})
	}
	if body, ok := o.RequestBody.Content["application/json"]; ok {
		d.Body, d.Example = nameOf(body.Schema.Ref), indented(body.Example)
	}
	for _, status := range slices.Sorted(maps.Keys(o.Responses)) {
		r := o.Responses[status]
		if r.Ref != "" {
			r = doc.Components.Responses[nameOf(r.Ref)]
		}
		answer := pages.DocsResponse{Status: status, Description: r.Description, Schema: nameOf(r.Content["application/json"].Schema.Ref)}
		if strings.HasPrefix(status, "2") {
			answer.Example = indented(r.Content["application/json"].Example)
		}
		d.Responses = append(d.Responses, answer)
	}
	return d
}

func orEmpty(list json.RawMessage) json.RawMessage {
	if list == nil {
		return json.RawMessage("[]")
	}
	return list
}

// nameOf is the last part of a reference.
func nameOf(ref string) string { return ref[strings.LastIndexByte(ref, '/')+1:] }

func indented(data json.RawMessage) string {
	var b bytes.Buffer
	if len(data) == 0 || json.Indent(&b, data, "", "  ") != nil {
		return ""
	}
	return b.String()
}

// GetDocs serves the page about the API.
func (s *server) GetDocs(w http.ResponseWriter, _ *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "public, max-age=300")
	h.Set("Content-Security-Policy", pages.DocsSecurityPolicy)
	writeBytes(w, http.StatusOK, mediaHTML, s.spec.docs)
}
