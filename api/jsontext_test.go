package api

import (
	"bytes"
	"encoding/json"
	"io"
	"regexp"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

var (
	shortEscape = regexp.MustCompile(`\\[^u]`)
	wholePair   = regexp.MustCompile(`(?i)\\ud[89ab]..\\ud[c-f]..`)
	anyHalf     = regexp.MustCompile(`(?i)\\ud[89a-f]`)
)

// hasHalfPair tells whether an escape in JSON is half of a surrogate pair, without the other half.
func hasHalfPair(data []byte) bool {
	return anyHalf.Match(wholePair.ReplaceAll(shortEscape.ReplaceAll(data, []byte(" ")), []byte(" ")))
}

// FuzzJSONText reads a text as encoding/json does, token by token.
func FuzzJSONText(f *testing.F) {
	for _, text := range []string{
		`{}`, `[]`, `""`, `0`, ` -1.5e+3 `, `null`, "\t[true,false , null]\r\n", `{"a":{"b":[1,2,{"":"x"}],"a":1e9}}`, `{"a" : "\\" , "b\u0041":"\"\\\/\b\f\n\r\t\u00e9"}`,
		`["\ud83d\ude00","\\ud83d","é😀"]`, `"\ud83d"`, `"\ude00\ud83d"`, `{"\uD83Dx":1}`, `"\ud83d\u0041"`, `"\ud83d\n"`, `"\\\udbff\udfff\ud800"`, `"\u0000"`, `[[[[]]],{"a":{}}]`, `[1,]`, `{"a"}`, `{`, `[1 2]`, `1 2`, ``, ` `, "\xff", "\xef\xbb\xbf{}", `{"a":1}}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		text, err := newJSONText(data)
		if !json.Valid(data) || !utf8.Valid(data) || hasHalfPair(data) {
			require.Error(t, err)
			return
		}
		require.NoError(t, err)
		decoder := json.NewDecoder(bytes.NewReader(data))
		decoder.UseNumber()
		var open []json.Token // the brackets around the next token
		for {
			want, err := decoder.Token()
			if err == io.EOF {
				break
			}
			require.NoError(t, err)
			if len(open) > 0 {
				require.Equal(t, want != json.Delim('}') && want != json.Delim(']'), text.more())
			}
			require.Equal(t, want, text.next())
			switch want {
			case json.Delim('{'), json.Delim('['):
				open = append(open, want)
			case json.Delim('}'), json.Delim(']'):
				open = open[:len(open)-1]
			}
		}
	})
}
