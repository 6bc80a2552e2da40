package zone

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestEveryZoneOfTheDatabase(t *testing.T) {
	t.Parallel()
	require.Greater(t, len(index()), 400)
	for name := range index() {
		l, ok := Load(name)
		require.True(t, ok, name)
		require.Equal(t, name, l.String())
		again, _ := Load(name)
		require.Same(t, l, again, "a zone is read once")
	}
}

func TestNamesInAnotherLetterCase(t *testing.T) {
	t.Parallel()
	for name := range index() {
		require.Equal(t, name, Like(strings.ToUpper(name)), "no two names differ in letter case only")
	}
	require.Equal(t, "Europe/Berlin", Like("europe/berlin"))
	require.Empty(t, Like("Europe/Bonn"))
	require.Empty(t, Like(""))
	require.Empty(t, Like(strings.Repeat("x", 1000)))
}

func TestKnownOffsets(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		zone, at string
		offset   time.Duration
	}{
		{"Europe/Berlin", "2026-01-01T00:00:00Z", time.Hour},
		{"Europe/Berlin", "2026-07-01T00:00:00Z", 2 * time.Hour},
		{"America/Sao_Paulo", "2026-01-01T00:00:00Z", -3 * time.Hour}, // no summer time since 2019
		{"America/Sao_Paulo", "2018-12-01T00:00:00Z", -2 * time.Hour},
		{"Asia/Kathmandu", "2026-01-01T00:00:00Z", 5*time.Hour + 45*time.Minute},
		{"Pacific/Apia", "2011-12-29T12:00:00Z", -10 * time.Hour},
		{"Pacific/Apia", "2011-12-31T12:00:00Z", 14 * time.Hour},
	} {
		at, err := time.Parse(time.RFC3339, c.at)
		require.NoError(t, err)
		l, ok := Load(c.zone)
		require.True(t, ok)
		_, offset := at.In(l).Zone()
		require.Equal(t, c.offset, time.Duration(offset)*time.Second, "%s %s", c.zone, c.at)
	}
}

func TestWhatIsNoZone(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"", "Local", "local", "europe/berlin", "Europe/Berlin ", "Europe", "Europe/", "../Europe/Berlin", "/etc/localtime", "CEST",
		"UTC+2", "+02:00", "Europe/Atlantis", strings.Repeat("A", 1000), "Europe/Berlin\x00",
	} {
		_, ok := Load(name)
		require.False(t, ok, "%q", name)
	}
}

// FuzzLoad: names come from callers.
func FuzzLoad(f *testing.F) {
	for _, name := range []string{"Europe/Berlin", "", "Local", "../../etc/passwd", "UTC"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		l, ok := Load(name)
		require.Equal(t, ok, l != nil)
		if ok {
			require.Equal(t, name, l.String())
		}
	})
}

func BenchmarkLoad(b *testing.B) {
	for b.Loop() {
		if _, ok := Load("Europe/Berlin"); !ok {
			b.Fatal("no such zone")
		}
	}
}
