package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// jsonText gives the tokens of a text that is known to be JSON, so that it only has to find where each of them ends. A
// json.Decoder, which has to be ready for anything, takes several times as long to tell the same (docs/adr/0025).
type jsonText struct{ rest []byte }

func newJSONText(data []byte) (*jsonText, error) {
	if !utf8.Valid(data) {
		return nil, badJSON("the body is not UTF-8")
	}
	if bytes.HasPrefix(data, byteOrderMark) {
		return nil, badJSON("it begins with a byte order mark, which has to be left out")
	}
	if json.Valid(data) {
		if half := halfPair(data); half != "" {
			return nil, badJSON(fmt.Sprintf("it has the escape %s, which is half of a surrogate pair, without the other half", half))
		}
		return &jsonText{rest: data}, nil
	}
	err := json.Unmarshal(data, new(json.RawMessage))
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return nil, badJSON(fmt.Sprintf("%v at byte %d", syntax, syntax.Offset))
	}
	return nil, badJSON("it is not JSON")
}

var byteOrderMark = []byte("\uFEFF")

// escapeSize is how long an escape such as \u00e9 is.
const escapeSize = 6

// halfPair finds an escape in JSON that is half of a surrogate pair, such as \ud800, where the other half is missing. It stands for no
// character, and encoding/json would put U+FFFD in its place without a word.
func halfPair(data []byte) string {
	for {
		at := bytes.IndexByte(data, '\\')
		if at < 0 {
			return ""
		}
		data = data[at:]
		first := escaped(data)
		switch {
		case first == 0:
			data = data[len(`\n`):]
		case !utf16.IsSurrogate(first):
			data = data[escapeSize:]
		case utf16.DecodeRune(first, escaped(data[escapeSize:])) == utf8.RuneError:
			return string(data[:escapeSize])
		default:
			data = data[2*escapeSize:]
		}
	}
}

// escaped reads an escape such as \u00e9; 0 when the next thing in the JSON is none.
func escaped(data []byte) rune {
	if len(data) < escapeSize || data[0] != '\\' || data[1] != 'u' {
		return 0
	}
	n, _ := strconv.ParseUint(string(data[2:escapeSize]), 16, 16) // four digits
	return rune(n)
}

// more tells whether the object or list that is being read has anything else.
func (t *jsonText) more() bool {
	t.skip()
	return t.rest[0] != '}' && t.rest[0] != ']'
}

// next takes the next token, in the types of json.Token.
func (t *jsonText) next() json.Token {
	t.skip()
	switch c := t.rest[0]; c {
	case '{', '}', '[', ']':
		t.take(1)
		return json.Delim(c)
	case '"':
		return string(t.text())
	case 't':
		t.take(len("true"))
		return true
	case 'f':
		t.take(len("false"))
		return false
	case 'n':
		t.take(len("null"))
		return nil
	}
	end := bytes.IndexAny(t.rest, ",]} \t\r\n")
	if end < 0 {
		end = len(t.rest)
	}
	return json.Number(t.take(end))
}

// pass takes the next value, whatever it is, and gives its text.
func (t *jsonText) pass() []byte {
	t.skip()
	from := t.rest
	for depth := 0; ; {
		switch t.next() {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth == 0 {
			return from[:len(from)-len(t.rest)]
		}
	}
}

// name takes the name of a field.
func (t *jsonText) name() []byte {
	t.skip()
	return t.text()
}

// text takes a string.
func (t *jsonText) text() []byte {
	end, escaped := 1, false
	for ; t.rest[end] != '"'; end++ {
		if t.rest[end] == '\\' {
			escaped = true
			end++
		}
	}
	quoted := t.take(end + 1)
	if !escaped {
		return quoted[1:end]
	}
	var text string
	_ = json.Unmarshal(quoted, &text) // a valid string
	return []byte(text)
}

// skip goes to the next token. That commas and colons are where they have to be is known.
func (t *jsonText) skip() {
	for {
		switch t.rest[0] {
		case ' ', '\t', '\r', '\n', ',', ':':
			t.rest = t.rest[1:]
		default:
			return
		}
	}
}

func (t *jsonText) take(n int) (taken []byte) {
	taken, t.rest = t.rest[:n], t.rest[n:]
	return taken
}

// path says where in a body a value is; the body itself if it is nil. It is written out only when something is wrong there.
type path struct {
	in    *path
	name  string // of a field
	index int    // in a list; noIndex: it is a field
}

const noIndex = -1

func (p *path) field(name string) *path { return &path{in: p, name: name, index: noIndex} }

func (p *path) String() string {
	switch {
	case p == nil:
		return ""
	case p.index != noIndex:
		return p.in.String() + "[" + strconv.Itoa(p.index) + "]"
	case p.in != nil:
		return p.in.String() + "." + p.name
	}
	return p.name
}
