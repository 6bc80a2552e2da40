package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

// ErrFormat is what every parser's error is.
var ErrFormat = errors.New("malformed")

// reader walks over one JSON text. The first error ends it: what follows reads as empty, and err tells.
type reader struct {
	b   []byte
	i   int
	err error
}

func (r *reader) fail(what string) {
	if r.err == nil {
		r.err = fmt.Errorf("%w at byte %d: %s", ErrFormat, r.i, what)
	}
	r.i = len(r.b)
}

// require fails when a member that must be there was not.
func (r *reader) require(there bool, member string) {
	if !there {
		r.fail(member + " is missing")
	}
}

// peek gives the next byte that is not white space, and 0 at the end.
func (r *reader) peek() byte {
	for r.i < len(r.b) {
		switch c := r.b[r.i]; c {
		case ' ', '\t', '\n', '\r':
			r.i++
		default:
			return c
		}
	}
	return 0
}

func (r *reader) expect(c byte) {
	if r.peek() != c {
		r.fail("expected '" + string(rune(c)) + "'")
		return
	}
	r.i++
}

// end fails unless everything was read, and gives the error of the whole text.
func (r *reader) end() error {
	if r.peek() != 0 || r.i < len(r.b) {
		r.fail("more after the end")
	}
	return r.err
}

// span reads a string and gives what stands between its quotes, and whether there is an escape in it.
func (r *reader) span() (inner []byte, escaped bool) {
	r.expect('"')
	start := r.i
	for r.i < len(r.b) {
		switch c := r.b[r.i]; {
		case c == '"':
			r.i++
			return r.b[start : r.i-1], escaped
		case c == '\\':
			escaped = true
			r.escape()
		case c < ' ':
			r.fail("control character in a string")
		default:
			r.i++
		}
	}
	r.fail("string without end")
	return nil, false
}

// escape passes over one escape sequence.
func (r *reader) escape() {
	n := 2
	if r.i+1 >= len(r.b) {
		n = 0
	} else {
		switch r.b[r.i+1] {
		case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		case 'u':
			n = 6
			for k := r.i + 2; k < r.i+6; k++ {
				if k >= len(r.b) || !isHex(r.b[k]) {
					n = 0
					break
				}
			}
		default:
			n = 0
		}
	}
	if n == 0 {
		r.fail("bad escape in a string")
		return
	}
	r.i += n
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

// text reads a string of at most limit bytes. What is not UTF-8 in it is replaced here already, so that the string is as long when it is
// written.
func (r *reader) text(limit int) string {
	inner, escaped := r.span()
	if escaped {
		inner = unescape(inner)
	}
	if !utf8.Valid(inner) {
		inner = bytes.ToValidUTF8(inner, []byte("\uFFFD"))
	}
	if len(inner) > limit {
		r.fail("string too long")
		return ""
	}
	return string(inner)
}

// name reads a string that may not be empty.
func (r *reader) name() string {
	s := r.text(MaxName)
	if s == "" {
		r.fail("empty string")
	}
	return s
}

// token reads a string that is used as it stands: printable ASCII without escapes. It aliases the input.
func (r *reader) token(limit int) []byte {
	inner, escaped := r.span()
	if escaped || len(inner) == 0 || len(inner) > limit {
		r.fail("not a plain string of 1 to " + itoa(limit) + " characters")
		return nil
	}
	for _, c := range inner {
		if c <= ' ' || c > '~' {
			r.fail("not a plain string of printable ASCII")
			return nil
		}
	}
	return inner
}

// unescape is for the rare string with a backslash in it, which span has found to be well-formed.
func unescape(inner []byte) []byte {
	quoted := make([]byte, 0, len(inner)+2)
	quoted = append(append(append(quoted, '"'), inner...), '"')
	var s string
	if json.Unmarshal(quoted, &s) != nil {
		return nil
	}
	return []byte(s)
}

// uint reads a whole number from 0 to MaxInt, written without sign, fraction, exponent or leading zeros.
func (r *reader) uint() uint64 {
	c := r.peek()
	if c < '0' || c > '9' {
		r.fail("expected a whole number")
		return 0
	}
	start, n := r.i, uint64(0)
	for ; r.i < len(r.b) && '0' <= r.b[r.i] && r.b[r.i] <= '9'; r.i++ {
		if n = n*10 + uint64(r.b[r.i]-'0'); n > MaxInt {
			r.fail("number too large")
			return 0
		}
	}
	if c == '0' && r.i > start+1 {
		r.fail("number with a leading zero")
		return 0
	}
	if r.i < len(r.b) && (r.b[r.i] == '.' || r.b[r.i] == 'e' || r.b[r.i] == 'E') {
		r.fail("expected a whole number")
		return 0
	}
	return n
}

func (r *reader) int() int64 { return int64(r.uint()) }

// object reads an object and hands over each of its keys; member reads the value, or gives false to pass over it.
func (r *reader) object(member func(key []byte) bool) {
	r.expect('{')
	if r.peek() == '}' {
		r.i++
		return
	}
	for r.err == nil {
		key, escaped := r.span()
		if escaped {
			key = unescape(key)
		}
		r.expect(':')
		if r.err == nil && !member(key) {
			r.skip(0)
		}
		if r.peek() != ',' {
			r.expect('}')
			return
		}
		r.i++
	}
}

// array reads an array; item reads one of its values.
func (r *reader) array(limit int, item func()) {
	r.expect('[')
	if r.peek() == ']' {
		r.i++
		return
	}
	for n := 0; r.err == nil; n++ {
		if n == limit {
			r.fail("more than " + itoa(limit) + " items")
			return
		}
		item()
		if r.peek() != ',' {
			r.expect(']')
			return
		}
		r.i++
	}
}

// raw passes over a value and gives its text, which aliases the input.
func (r *reader) raw() []byte {
	r.peek()
	start := r.i
	r.skip(0)
	if r.err != nil {
		return nil
	}
	return r.b[start:r.i]
}

// valid tells whether the text is UTF-8, which WebSocket libraries leave to be checked.
func valid(b []byte) bool { return utf8.Valid(b) }
