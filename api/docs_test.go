package api_test

import (
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestThePageAboutTheAPIHasEverything(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	page := s.call("GET", "/docs", "")
	require.Equal(t, http.StatusOK, page.status)
	require.Contains(t, page.header.Get("Content-Type"), "text/html")
	require.NotContains(t, page.body, "http://", "nothing comes from another host")
	require.NotRegexp(t, `(src|<script|@import|url\()`, strings.ReplaceAll(page.body, "src:", ""))
	for _, o := range s.operations() {
		require.Contains(t, page.body, `<article id="`+o.id+`">`)
	}
	for _, m := range regexp.MustCompile(`href="#([^"]+)"`).FindAllStringSubmatch(page.body, -1) {
		require.Contains(t, page.body, `id="`+m[1]+`"`, "a link leads nowhere")
	}
	d := xml.NewDecoder(strings.NewReader(page.body))
	d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else {
			require.NoError(t, err)
		}
	}
}
