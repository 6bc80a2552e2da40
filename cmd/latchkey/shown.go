package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// What tenants and devices call themselves is printed at the operator's terminal, which takes some characters for commands: to colour
// what stands there, to rename the window, to fill the clipboard. None of these gets there as it is.

// shown is text for a person, as it is or, with anything in it that is not to be seen, in quotes and with escapes.
func shown(s string) string {
	if !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return !strconv.IsPrint(r) }) {
		return strconv.Quote(s)
	}
	return s
}

// escaping writes what cannot be seen with the escapes of JSON, in which it means the same. Each Write has whole characters.
type escaping struct{ io.Writer }

func (w escaping) Write(b []byte) (int, error) {
	if _, err := io.WriteString(w.Writer, escaped(string(b))); err != nil {
		return 0, err
	}
	return len(b), nil
}

func escaped(s string) string {
	var out strings.Builder
	for _, r := range s { // what is no UTF-8 comes as U+FFFD
		switch {
		case strconv.IsPrint(r), r == '\n', r == '\t':
			out.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&out, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&out, `\u%04x`, r)
		}
	}
	return out.String()
}
