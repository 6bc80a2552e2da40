// Package pages renders what guests see: the page of a key, what became of an open, and errors.
//
// A guest stands in front of a door, perhaps with an old phone and a bad connection. So a page is one small document
// without scripts, images or fonts, and it never says that a door is open before the lock has said so.
package pages

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"time"
)

//go:embed *.html *.css
var files embed.FS

var (
	style     = mustRead("style.css")
	templates = template.Must(template.New("").Funcs(template.FuncMap{
		"style":     func() template.CSS { return template.CSS(style) },
		"docsStyle": func() template.CSS { return template.CSS(docsStyle) },
		"words":     words,
		"instant":   instant,
		"machine":   func(t time.Time) string { return shown(t.UTC()).Format(time.RFC3339) },
		"duration":  duration,
	}).ParseFS(files, "*.html"))

	// ContentSecurityPolicy lets a page have its own style sheet and its own form, and nothing else.
	ContentSecurityPolicy = policy(style)
	// DocsSecurityPolicy is that of the page about the API, which has a style sheet of its own.
	DocsSecurityPolicy = policy(docsStyle)
)

func mustRead(name string) string {
	data, err := files.ReadFile(name)
	if err != nil {
		panic(err) // it is embedded
	}
	return string(data)
}

func policy(style string) string {
	hash := sha256.Sum256([]byte(style))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(hash[:]) +
		"'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
}

// Page is one of the pages here.
type Page interface {
	Render(w io.Writer) error
}

const (
	dateFormat    = "2 Jan 2006"
	instantFormat = dateFormat + ", 15:04"
)

// instant formats a point in time for a person. The server does not know the guest's time zone, so it names its own.
func instant(t time.Time) string { return shown(t.UTC()).Format(instantFormat + " UTC") }

// shown brings an instant into the years from 1 to 9999: grace, and the clock at a door, may reach beyond those that a key can name.
func shown(t time.Time) time.Time {
	switch year := t.Year(); {
	case year > 9999:
		return time.Date(9999, 12, 31, 23, 59, 59, 0, t.Location())
	case year < 1:
		return time.Date(1, 1, 1, 0, 0, 0, 0, t.Location())
	}
	return t
}

// farAway is how far off an instant is to which nobody counts the days. The year 9999 says "for ever", and is further away than a
// time.Duration can tell.
const farAway = 10 * 365 * 24 * time.Hour

// left is for how long it is until an instant; 0: it is not told.
func left(at, now time.Time) time.Duration {
	if at.After(now.Add(farAway)) {
		return 0
	}
	return at.Sub(now)
}

// duration says about how long something takes, in two units where one does not tell enough: whoever is told two days instead of
// nearly three comes a day early.
func duration(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < time.Minute:
		return plural(int64((d+time.Second-1)/time.Second), "second")
	case d < 2*time.Hour:
		return plural(int64(d/time.Minute), "minute")
	case d < 2*day:
		return two(int64(d/time.Hour), "hour", int64(d%time.Hour/time.Minute), "minute")
	default:
		return two(int64(d/day), "day", int64(d%day/time.Hour), "hour")
	}
}

func two(n int64, unit string, rest int64, lesser string) string {
	if rest == 0 {
		return plural(n, unit)
	}
	return plural(n, unit) + " " + plural(rest, lesser)
}

func plural(n int64, unit string) string {
	if n == 1 {
		return "1 " + unit
	}
	return fmt.Sprintf("%d %ss", n, unit)
}
