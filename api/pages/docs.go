package pages

import (
	"html/template"
	"io"
	"strings"
)

// Docs is the page about the API, for people.
type Docs struct {
	Title       string
	Summary     string
	Description string
	Tags        []DocsTag
	Schemas     []DocsSchema
}

// The parts of Docs.
type (
	// DocsTag is a group of operations.
	DocsTag struct {
		Name        string
		Description string
		Operations  []DocsOperation
	}
	// DocsOperation is one thing that callers can do.
	DocsOperation struct {
		ID, Method, Path, Scope, Summary, Description string
		Parameters                                    []DocsParameter
		Body                                          string // name of its schema; empty: it takes none
		Example                                       string // JSON
		Responses                                     []DocsResponse
	}
	// DocsParameter is one parameter.
	DocsParameter struct {
		Name, In, Description string
		Required              bool
	}
	// DocsResponse is one answer. Example is JSON, of a success.
	DocsResponse struct{ Status, Description, Schema, Example string }
	// DocsSchema is one schema.
	DocsSchema struct{ Name, JSON string }
)

var docsStyle = mustRead("docs.css")

// Render writes the page.
func (d *Docs) Render(w io.Writer) error { return templates.ExecuteTemplate(w, "docs.html", d) }

// words makes what is between backticks code, and what is between two stars strong. A single line break is a space.
func words(text string) template.HTML {
	paragraphs := strings.Split(strings.TrimSpace(text), "\n\n")
	for i, p := range paragraphs {
		paragraphs[i] = strings.ReplaceAll(p, "\n", " ")
	}
	var b strings.Builder
	for i, part := range strings.Split(strings.Join(paragraphs, "\n\n"), "`") {
		if i%2 == 1 {
			b.WriteString("<code>" + template.HTMLEscapeString(part) + "</code>")
			continue
		}
		for j, words := range strings.Split(part, "**") {
			if j%2 == 1 {
				b.WriteString("<strong>" + template.HTMLEscapeString(words) + "</strong>")
			} else {
				b.WriteString(template.HTMLEscapeString(words))
			}
		}
	}
	return template.HTML(b.String()) //nolint:gosec // all of it was escaped
}
