package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"sync"

	"github.com/latchkey/latchkey/lock"
)

// fieldReader is a type of field that reads its own JSON. An error says what the field must be, or is the kernel's.
type fieldReader interface{ readJSON(json.Token) error }

// listReader is a type of list that reads its own items.
type listReader interface {
	readItems(d decoder, p *path) error
}

// optional is a field for which absent, null and a value are three different things.
type optional[T any] struct {
	named bool
	value *T // nil: null, or not named
}

// nullable is any optional. read gives what the value goes into; nil when it is null.
type nullable interface{ read(null bool) any }

func (o *optional[T]) read(null bool) any {
	o.named = true
	if null {
		return nil
	}
	o.value = new(T)
	return o.value
}

// decode reads one JSON object into the struct that v points to, and is strict where encoding/json is not: names must match to the
// letter, none may be unknown, missing or there twice, null is no value, and nothing may follow. Errors name the field.
func decode(data []byte, v any) error {
	t, err := newJSONText(data)
	if err != nil {
		return err
	}
	d := decoder{t}
	return d.value(reflect.ValueOf(v).Elem(), nil)
}

type decoder struct{ *jsonText }

func badJSON(what string) error {
	return badRequest("json-invalid", "", "The body must be one JSON object: "+what+".")
}

func wrongType(p *path, must string) error {
	if p == nil {
		return badJSON("it is something else")
	}
	return badRequest("field-invalid", p.String(), p.String()+" must be "+must)
}

// wrongForm is wrongType for a field that reads itself. The kernel has a reason of its own for what it cannot read.
func wrongForm(p *path, err error) error {
	var rejection *lock.Error
	if errors.As(err, &rejection) {
		return badRequest(rejection.Reason, p.String(), p.String()+" "+rejection.Message)
	}
	return wrongType(p, err.Error())
}

func fieldUnknown(at string, s *shape) error {
	return badRequest("field-unknown", at, at+" is not a field here. There "+s.names)
}

func fieldTwice(at string) error { return badRequest("field-twice", at, at+" is there twice") }

// value reads the next value into v. The types of bodies bound the depth.
func (d decoder) value(v reflect.Value, p *path) error { return d.valueOf(d.next(), v, p) }

func (d decoder) valueOf(token json.Token, v reflect.Value, p *path) error {
	if reader, ok := v.Addr().Interface().(fieldReader); ok {
		if err := reader.readJSON(token); err != nil {
			return wrongForm(p, err)
		}
		return nil
	}
	if field, ok := v.Addr().Interface().(nullable); ok {
		if value := field.read(token == nil); value != nil {
			return d.valueOf(token, reflect.ValueOf(value).Elem(), p)
		}
		return nil
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return d.valueOf(token, v.Elem(), p)
	case reflect.Struct:
		if token != json.Delim('{') {
			return wrongType(p, "an object")
		}
		return d.object(v, p)
	case reflect.Slice:
		if token != json.Delim('[') {
			return wrongType(p, "a list")
		}
		if reader, ok := v.Addr().Interface().(listReader); ok {
			return reader.readItems(d, p)
		}
		return d.list(v, p)
	case reflect.String:
		text, ok := token.(string)
		if !ok {
			return wrongType(p, "text")
		}
		v.SetString(text)
	case reflect.Int64:
		n, ok := wholeNumber(token)
		if !ok {
			return wrongType(p, "a whole number")
		}
		v.SetInt(n)
	default:
		return fmt.Errorf("api: the body has a field %s of the type %s", p.String(), v.Type())
	}
	return nil
}

func (d decoder) list(v reflect.Value, p *path) error {
	v.Set(reflect.MakeSlice(v.Type(), 0, 0))
	for i := 0; d.more(); i++ {
		v.Grow(1)
		v.SetLen(i + 1)
		if err := d.value(v.Index(i), &path{in: p, index: i}); err != nil {
			return err
		}
	}
	d.next()
	return nil
}

func (d decoder) object(v reflect.Value, p *path) error {
	shape := shapeOf(v.Type())
	var seen uint64 // a bit for each field; no body has as many as 64
	for d.more() {
		name := d.name()
		i, known := shape.index[string(name)]
		if !known {
			at := p.field(string(name)).String()
			return fieldUnknown(at, shape)
		}
		at := p.field(shape.fields[i].name)
		if seen&(1<<i) != 0 {
			return fieldTwice(at.String())
		}
		seen |= 1 << i
		if err := d.value(v.Field(i), at); err != nil {
			return err
		}
	}
	d.next()
	for i, f := range shape.fields {
		if f.required && seen&(1<<i) == 0 {
			at := p.field(f.name).String()
			return badRequest("field-missing", at, at+" is required")
		}
	}
	return nil
}

// wholeNumber reads an integer. JSON has one kind of number, so 5.0 and 5e0 are integers as well.
func wholeNumber(token json.Token) (int64, bool) {
	number, ok := token.(json.Number)
	if !ok {
		return 0, false
	}
	if n, err := strconv.ParseInt(number.String(), 10, 64); err == nil {
		return n, true
	}
	f, err := strconv.ParseFloat(number.String(), 64)
	const exact = 1 << 53
	if err != nil || f != math.Trunc(f) || math.Abs(f) > exact {
		return 0, false
	}
	return int64(f), true
}

// shape is what is to be known of a struct. The tags of the generated code say which fields are required.
type shape struct {
	fields []shapeField
	index  map[string]int
	names  string // for a person
}

type shapeField struct {
	name     string
	required bool
}

var shapes sync.Map // reflect.Type to *shape

func shapeOf(t reflect.Type) *shape {
	if s, ok := shapes.Load(t); ok {
		return s.(*shape)
	}
	s := &shape{index: make(map[string]int)}
	var names []string
	for i := range t.NumField() {
		name, options, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		s.fields = append(s.fields, shapeField{name: name, required: options != "omitempty"})
		s.index[name] = i
		names = append(names, name)
	}
	s.names = "are none."
	if len(names) > 0 {
		s.names = "are: " + strings.Join(names, ", ") + "."
	}
	shapes.Store(t, s)
	return s
}
