package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"
)

// fieldReader is a type of field that reads its own JSON. An error says what the field must be.
type fieldReader interface{ readJSON(json.Token) error }

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
	if !utf8.Valid(data) {
		return badJSON("the body is not UTF-8")
	}
	d := decoder{json.NewDecoder(bytes.NewReader(data))}
	d.UseNumber()
	if err := d.value(reflect.ValueOf(v).Elem(), ""); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return badJSON("something follows the JSON object")
	}
	return nil
}

type decoder struct{ *json.Decoder }

func badJSON(what string) error {
	return badRequest("json-invalid", "", "The body must be one JSON object: "+what+".")
}

func wrongType(path, must string) error {
	if path == "" {
		return badJSON("it is something else")
	}
	return badRequest("field-invalid", path, path+" must be "+must)
}

func (d decoder) next() (json.Token, error) {
	token, err := d.Token()
	var syntax *json.SyntaxError
	switch {
	case err == nil:
		return token, nil
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return nil, badJSON("it ends too early")
	case errors.As(err, &syntax):
		return nil, badJSON(fmt.Sprintf("%v at byte %d", syntax, syntax.Offset))
	default:
		return nil, badJSON(err.Error())
	}
}

// value reads the next value into v. The types of bodies bound the depth.
func (d decoder) value(v reflect.Value, path string) error {
	token, err := d.next()
	if err != nil {
		return err
	}
	return d.valueOf(token, v, path)
}

func (d decoder) valueOf(token json.Token, v reflect.Value, path string) error {
	if reader, ok := v.Addr().Interface().(fieldReader); ok {
		if err := reader.readJSON(token); err != nil {
			return wrongType(path, err.Error())
		}
		return nil
	}
	if field, ok := v.Addr().Interface().(nullable); ok {
		if value := field.read(token == nil); value != nil {
			return d.valueOf(token, reflect.ValueOf(value).Elem(), path)
		}
		return nil
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return d.valueOf(token, v.Elem(), path)
	case reflect.Struct:
		if token != json.Delim('{') {
			return wrongType(path, "an object")
		}
		return d.object(v, path)
	case reflect.Slice:
		if token != json.Delim('[') {
			return wrongType(path, "a list")
		}
		return d.list(v, path)
	case reflect.String:
		text, ok := token.(string)
		if !ok {
			return wrongType(path, "text")
		}
		v.SetString(text)
	case reflect.Int64:
		n, ok := wholeNumber(token)
		if !ok {
			return wrongType(path, "a whole number")
		}
		v.SetInt(n)
	default:
		return fmt.Errorf("api: the body has a field %s of the type %s", path, v.Type())
	}
	return nil
}

func (d decoder) list(v reflect.Value, path string) error {
	v.Set(reflect.MakeSlice(v.Type(), 0, 0))
	for i := 0; d.More(); i++ {
		item := reflect.New(v.Type().Elem()).Elem()
		if err := d.value(item, path+"["+strconv.Itoa(i)+"]"); err != nil {
			return err
		}
		v.Set(reflect.Append(v, item))
	}
	_, err := d.next()
	return err
}

func (d decoder) object(v reflect.Value, path string) error {
	if path != "" {
		path += "."
	}
	shape := shapeOf(v.Type())
	seen := make([]bool, len(shape.fields))
	for d.More() {
		token, err := d.next()
		if err != nil {
			return err
		}
		name, _ := token.(string)
		i, known := shape.index[name]
		if !known {
			return badRequest("field-unknown", path+name, path+name+" is not a field here. There "+shape.names)
		}
		if seen[i] {
			return badRequest("field-twice", path+name, path+name+" is there twice")
		}
		seen[i] = true
		if err := d.value(v.Field(i), path+name); err != nil {
			return err
		}
	}
	if _, err := d.next(); err != nil {
		return err
	}
	for i, f := range shape.fields {
		if f.required && !seen[i] {
			return badRequest("field-missing", path+f.name, path+f.name+" is required")
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
