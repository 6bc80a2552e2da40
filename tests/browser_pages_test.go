package tests

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// brokenWords lists the words of a page that stand on more than one line, but for those that are too long for any.
const brokenWords = `(() => {
	const broken = [], texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
	while (texts.nextNode()) {
		for (const word of texts.currentNode.data.matchAll(/[^\s–-]+/g)) {
			const place = document.createRange()
			place.setStart(texts.currentNode, word.index)
			place.setEnd(texts.currentNode, word.index + word[0].length)
			if (word[0].length < 11 && place.getClientRects().length > 1) broken.push(word[0])
		}
	}
	return broken.join(' ')
})()`

// Bar: a guest's phone is narrow and has its text set to twice the size. No page is wider than the phone, and no word is broken. With the
// colours of a theme for high contrast, the buttons can still be told from text.
func TestPagesFitLargeText(t *testing.T) {
	t.Parallel()
	pinKey := filepath.Join(t.TempDir(), "pin.key")
	require.NoError(t, os.WriteFile(pinKey, []byte(strings.Repeat("0f", 32)), 0o600))
	s := newServer(t, "--pin-key-file", pinKey)
	for id := 1; id <= 2; id++ {
		s.must(t, 201, http.MethodPost, fmt.Sprintf("/locks/%d/CreateLock", id), map[string]any{"index": id, "uuid": uuid.NewString()})
	}
	year := map[string]any{"validFrom": time.Now().Add(-time.Hour), "validUntil": time.Now().AddDate(1, 0, 0)}
	with := func(more map[string]any) map[string]any {
		for k, v := range year {
			more[k] = v
		}
		return more
	}
	var doors struct{ UUID string }
	require.NoError(t, json.Unmarshal([]byte(s.must(t, 201, http.MethodPost, "/temp-keys", with(map[string]any{"doors": []any{
		map[string]any{"lockId": "1", "label": "Haustür des Vorderhauses", "accessMethod": "both"},
		map[string]any{"lockId": "2", "label": strings.Repeat("Donaudampfschiff", 6), "accessMethod": "both"},
	}})).body), &doors))
	scheduled := uuid.NewString()
	s.must(t, 200, http.MethodPost, "/locks/1/create-temp-key", with(map[string]any{
		"tempKeyUuid": scheduled, "accessMode": "public", "maxUses": 3, "graceBeforeSeconds": 600, "schedule": map[string]any{
			"timeZone": "America/Argentina/Buenos_Aires", "exceptDates": []string{time.Now().AddDate(0, 1, 0).Format(time.DateOnly)},
			"rules": []any{map[string]any{"days": []string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}, "from": "00:00", "until": "24:00"}},
		},
	}))

	b := startBrowser(t)
	b.do(t, "Emulation.setScrollbarsHidden", map[string]any{"hidden": true}) // a phone's take no room
	for _, width := range []int{360, 320} {
		b.do(t, "Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": false})
		for _, path := range []string{"/temp-keys/" + doors.UUID, "/temp-keys/" + scheduled, "/temp-keys/" + scheduled + "/confirmation", "/temp-keys/none"} {
			page := fmt.Sprintf("%s?width=%d", s.url+path, width)
			b.do(t, "Page.navigate", map[string]any{"url": page})
			b.waitFor(t, `document.readyState + location.href`, "complete"+page)
			b.eval(t, `document.documentElement.style.fontSize = '200%'`)
			require.EqualValues(t, width, b.eval(t, `document.documentElement.scrollWidth`), page)
			require.Equal(t, "", b.eval(t, brokenWords), page)
		}
	}

	b.do(t, "Page.navigate", map[string]any{"url": s.url + "/temp-keys/" + scheduled})
	b.waitFor(t, `document.readyState + (document.querySelector('main')?.dataset.status ?? '')`, "completevalid")
	b.do(t, "Emulation.setEmulatedMedia", map[string]any{"features": []any{map[string]any{"name": "forced-colors", "value": "active"}}})
	b.waitFor(t, `matchMedia('(forced-colors: active)').matches`, true)
	require.Equal(t, "2px", b.eval(t, `getComputedStyle(document.querySelector('button')).borderTopWidth`))
	require.NotEqual(t, b.eval(t, `getComputedStyle(document.querySelector('button')).backgroundColor`),
		b.eval(t, `getComputedStyle(document.querySelector('button')).borderTopColor`), "the theme gives the border a colour")
	require.Equal(t, true, b.eval(t, `[...document.styleSheets[0].cssRules].some(r => r.selectorText === 'button:active, .button:active')`),
		"a button shows that it was pressed")
}
