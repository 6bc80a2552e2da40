package pages_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/api/pages"
	"github.com/latchkey/latchkey/lock"
)

var now = time.Date(2026, 5, 1, 10, 0, 0, 0, time.UTC)

func render(t *testing.T, p pages.Page) string {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, p.Render(&b))
	return b.String()
}

func info(status lock.Status) *lock.TempKeyInfo {
	five := int64(5)
	return &lock.TempKeyInfo{
		ID: 42, VendorName: "Acme", SerialNumber: "SN-1", Reported: lock.Reported{Door: "closed"},
		Key: lock.TempKeyView{Status: status, TempKey: lock.TempKey{
			UUID: "3d0e8c3a-5a0f-4a53-8f0b-5f3c2f1f7a10", AccessMode: lock.Public, ValidFrom: now.Add(-time.Hour), ValidUntil: now.Add(50 * time.Hour), MaxUses: &five, UsedCount: 7,
		}},
	}
}

func all() map[string]pages.Page {
	m := map[string]pages.Page{
		"error": &pages.Error{Status: 403, Reason: "x", Message: "Why", RequestID: "r", Back: "/temp-keys/x"},
		"none":  &pages.Confirmation{Info: info(lock.StatusValid), Now: now},
	}
	for _, s := range []lock.Status{lock.StatusValid, lock.StatusExpired, lock.StatusUsedUp, lock.StatusNotYetValid} {
		m[string(s)] = &pages.Key{Info: info(s), Now: now, RequestID: "r"}
	}
	code := info(lock.StatusValid)
	code.Key.Door = &lock.Door{PIN: []byte("hash")}
	m["code"] = &pages.Key{Info: code, Now: now, RequestID: "r"}
	m["scheduled"] = scheduled(lock.StatusNotYetValid)
	m["collective"] = shared(now)
	for _, o := range []lock.Outcome{lock.Reserved, lock.Sent, lock.Opened, lock.Refused, lock.Expired, lock.Unknown} {
		m["outcome "+string(o)] = &pages.Confirmation{
			Info: info(lock.StatusValid), Now: now, Offline: true, Open: &lock.OpenResult{Outcome: o, At: now, Deadline: now.Add(5 * time.Second)},
		}
	}
	return m
}

func TestPagesAreWellFormedAndCarryTheirPolicy(t *testing.T) {
	t.Parallel()
	style := regexp.MustCompile(`(?s)<style>(.*)</style>`)
	for name, page := range all() {
		html := render(t, page)
		found := style.FindStringSubmatch(html)
		require.NotNil(t, found, name)
		hash := sha256.Sum256([]byte(found[1]))
		require.Contains(t, pages.ContentSecurityPolicy, "'sha256-"+base64.StdEncoding.EncodeToString(hash[:])+"'", "a browser would not take the style of "+name)
		require.NotContains(t, html, "<script")
		require.NotContains(t, html, " style=")
		require.NotRegexp(t, `(src|href)="(https?:)?//`, html, "nothing comes from elsewhere")
		require.Equal(t, 1, strings.Count(html, "<h1"))

		d := xml.NewDecoder(strings.NewReader(html))
		d.Strict, d.AutoClose, d.Entity = false, []string{"meta", "input"}, xml.HTMLEntity
		depth := 0
		for {
			token, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			require.NoError(t, err, name)
			switch token.(type) {
			case xml.StartElement:
				depth++
			case xml.EndElement:
				depth--
			}
		}
		require.Zero(t, depth, name)
	}
}

func TestOnlyOpenedIsOpened(t *testing.T) {
	t.Parallel()
	for name, page := range all() {
		html := render(t, page)
		require.Equal(t, name == "outcome opened", strings.Contains(html, "Opened") || strings.Contains(html, "has opened"), name)
	}
}

func TestWhatComesFromOutsideIsEscaped(t *testing.T) {
	t.Parallel()
	evil := info(lock.StatusValid)
	evil.VendorName, evil.Reported.Bolt, evil.Reported.Door = `<script>alert(1)</script>`, `"><img src=x>`, `</style>`
	for _, html := range []string{
		render(t, &pages.Key{Info: evil, Now: now, RequestID: `"><script>`}),
		render(t, &pages.Confirmation{Info: evil, Now: now, Open: &lock.OpenResult{Outcome: lock.Refused, Reason: `<b>`, Message: `<i>`}}),
		render(t, &pages.Error{Status: 403, Message: `<script>`, Reason: `"x`, RequestID: `<b>`, Back: `javascript:alert(1)`}),
	} {
		require.NotContains(t, html, "<script")
		require.NotContains(t, html, "<img")
		require.NotContains(t, html, "<b>")
		require.NotContains(t, html, "javascript:")
		require.Equal(t, 1, strings.Count(html, "</style>"))
	}
}

func TestAPageComesAgainUntilTheOutcomeIsKnown(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		outcome lock.Outcome
		late    time.Duration // after the deadline
		want    int
	}{
		{lock.Reserved, -time.Second, 2}, {lock.Sent, -time.Second, 2}, {lock.Sent, 9 * time.Second, 2}, {lock.Sent, 10 * time.Second, 5},
		{lock.Sent, 3 * time.Minute, 0}, {lock.Unknown, 0, 15}, {lock.Unknown, 3 * time.Minute, 0}, {lock.Refused, -time.Second, 0}, {lock.Expired, 0, 0},
		{lock.Opened, -5 * time.Second, 11}, {lock.Opened, 4 * time.Second, 2}, {lock.Opened, 5 * time.Second, 0}, // once more, to take "Go in" back
	} {
		p := &pages.Confirmation{Info: info(lock.StatusValid), Now: now.Add(c.late), Open: &lock.OpenResult{Outcome: c.outcome, At: now.Add(-5 * time.Second), Deadline: now}}
		require.Equal(t, c.want, p.Refresh(), "%s %s", c.outcome, c.late)
		p.Open.Final = true
		if c.outcome == lock.Unknown {
			require.Zero(t, p.Refresh(), "nobody will ever know more")
		}
	}
	require.Zero(t, (&pages.Confirmation{}).Refresh())
}

func TestUsesNeverReadNegative(t *testing.T) {
	t.Parallel()
	require.Equal(t, "0 of 5", (&pages.Key{Info: info(lock.StatusUsedUp)}).UsesLeft())
}
