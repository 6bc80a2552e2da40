// Package form holds what a package writes into the journal against a file beside its tests. Whoever adds a field has to think of
// the programs that do not know it: those that are older, and run on the same journal after a way back, or beside in a cluster.
package form

import (
	"encoding"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// golden is beside the tests of each package.
var golden = filepath.Join("testdata", "stored.golden")

// toDo is what a change of the form means, so that nobody just renews the file.
const toDo = `What is stored has another form now. An older program does not know it and must not run on it:
 1. Has the state of a lock changed, or what its records come to? Raise stateForm in lock/codec.go.
 2. Add a step to migrations in journal/sqlite/schema.go, and a file to journal/postgres/migrations, in which nothing but a comment
    need be: so older programs refuse the journal when they start. One step does for all changes of a release.
 3. Say "make stored" and commit what it has written.
Never take a field or a record away that a journal may have: unknown ones are refused.`

// Check compares what is stored, each under its name, with the file; renew writes the file instead.
func Check(t *testing.T, renew bool, types map[string]any) {
	t.Helper()
	text := Describe(types)
	if renew {
		require.NoError(t, os.MkdirAll(filepath.Dir(golden), 0o755))
		require.NoError(t, os.WriteFile(golden, []byte(text), 0o644))
		return
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err, toDo)
	require.Empty(t, difference(string(want), text), toDo)
}

// difference is what has gone of a description, and what has come.
func difference(before, now string) (changes []string) {
	was, is := fields(before), fields(now)
	for _, f := range was {
		if !slices.Contains(is, f) {
			changes = append(changes, "- "+f)
		}
	}
	for _, f := range is {
		if !slices.Contains(was, f) {
			changes = append(changes, "+ "+f)
		}
	}
	return changes
}

// fields are the lines of a description, each with the type that it is of.
func fields(text string) (all []string) {
	of := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if field, ok := strings.CutPrefix(line, "\t"); ok {
			line = of + ": " + field
		} else {
			of = line
		}
		all = append(all, line)
	}
	return all
}

// Describe lists all fields as encoding/json has them, of everything that is stored. A text stands for itself.
func Describe(types map[string]any) string {
	d := description{seen: make(map[reflect.Type]bool)}
	names := make([]string, 0, len(types))
	for name := range types {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if text, ok := types[name].(string); ok {
			fmt.Fprintf(&d.text, "%s: %q\n", name, text)
			continue
		}
		fmt.Fprintf(&d.text, "%s: %s\n", name, d.form(reflect.TypeOf(types[name])))
	}
	for len(d.waiting) > 0 {
		next := d.waiting[0]
		d.waiting = d.waiting[1:]
		fmt.Fprintf(&d.text, "\n%s\n", next)
		d.fields(next)
	}
	return d.text.String()
}

type description struct {
	text    strings.Builder
	seen    map[reflect.Type]bool
	waiting []reflect.Type // structs that were named and not told of yet
}

// form is what a type looks like in JSON. What a Go type is called does not matter, but for structs.
func (d *description) form(t reflect.Type) string {
	if byItself(t) {
		return t.String() + ", which writes itself"
	}
	switch t.Kind() {
	case reflect.Pointer:
		return "*" + d.form(t.Elem())
	case reflect.Slice, reflect.Array:
		return "[]" + d.form(t.Elem())
	case reflect.Map:
		return "map of " + d.form(t.Key()) + " to " + d.form(t.Elem())
	case reflect.Struct:
		if !d.seen[t] {
			d.seen[t] = true
			d.waiting = append(d.waiting, t)
		}
		return t.String()
	default:
		return t.Kind().String()
	}
}

// fields lists those of a struct; embedded ones are as if they were its own.
func (d *description) fields(t reflect.Type) {
	for f := range t.Fields() {
		tag := f.Tag.Get("json")
		switch {
		case tag == "-", !f.IsExported() && !f.Anonymous:
		case f.Anonymous && tag == "" && f.Type.Kind() == reflect.Struct:
			d.fields(f.Type)
		default:
			name, options, _ := strings.Cut(tag, ",")
			if name == "" {
				name = f.Name
			}
			fmt.Fprintf(&d.text, "\t%s\n", strings.TrimSpace(name+" "+d.form(f.Type)+" "+options))
		}
	}
}

// byItself tells whether a type has a form of its own, which its tests hold.
func byItself(t reflect.Type) bool {
	for _, face := range []reflect.Type{reflect.TypeFor[json.Marshaler](), reflect.TypeFor[encoding.TextMarshaler]()} {
		if t.Implements(face) && t.Kind() != reflect.Pointer || t.Kind() != reflect.Pointer && reflect.PointerTo(t).Implements(face) {
			return true
		}
	}
	return false
}
