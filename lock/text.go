package lock

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Text that is not UTF-8 is refused everywhere: JSON would store it as something else, and a replay would not give the
// state that ran live.

// isName tells whether s can name a person, an organisation or a key: 1 to 800 bytes of UTF-8 without control characters.
func isName(s string) bool {
	return s != "" && len(s) <= maxText && utf8.ValidString(s) && !strings.ContainsFunc(s, isControl)
}

// isOptional is isName for what may be left out.
func isOptional(s string) bool { return s == "" || isName(s) }

// isText tells whether s is free text of up to max characters.
func isText(s string, max int) bool {
	return len(s) <= max*utf8.UTFMax && utf8.ValidString(s) && utf8.RuneCountInString(s) <= max
}

// isToken tells whether s can be a request ID: 1 to 128 visible ASCII characters.
func isToken(s string) bool {
	if s == "" || len(s) > maxToken {
		return false
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

// turnsText tells whether text has a character that says in which direction what follows is written. On a screen such text reads as
// something else, and may turn what stands after it. The marks beside a single word turn nothing, and people who write from right to
// left type them.
func turnsText(s string) bool {
	return strings.ContainsFunc(s, turns)
}

func turns(r rune) bool { return '\u202a' <= r && r <= '\u202e' || '\u2066' <= r && r <= '\u2069' }

// HasUnseen tells whether text that somebody else is shown has a character that is not shown: names of callers and labels may have none.
func HasUnseen(s string) bool { return strings.ContainsFunc(s, isUnseen) }

// isUnseen tells whether a character is nothing that a screen shows, but a command to it: to end the line, to turn the text, and worse.
func isUnseen(r rune) bool {
	return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || turns(r)
}

// clip brings the text of a device, which nobody can send back to be corrected, into bounds: at most max bytes of UTF-8 that can be seen.
func clip(s string, max int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	s = strings.Map(func(r rune) rune {
		if isUnseen(r) {
			return '\uFFFD'
		}
		return r
	}, s)
	if len(s) <= max {
		return s
	}
	for max > 0 && !utf8.RuneStart(s[max]) {
		max--
	}
	return s[:max]
}
