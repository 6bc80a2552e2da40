package pages_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/api/pages"
	"github.com/latchkey/latchkey/collective"
	"github.com/latchkey/latchkey/lock"
)

// shared is the page of a key for four doors: with the link, with the code, with both, and one that was taken off.
func shared(at time.Time) *pages.Collective {
	door := func(number int64, label string, access collective.Access) pages.CollectiveDoor {
		d := collective.Door{Number: number, LockID: lock.ID(number), Label: label, Access: access}
		return pages.CollectiveDoor{Door: d, Info: &lock.TempKeyInfo{Online: true}, RequestID: "r"}
	}
	gone := door(4, "Cellar", collective.ByBoth)
	gone.Info, gone.Gone = nil, true
	return &pages.Collective{
		Key: &collective.Key{UUID: "3d0e8c3a-5a0f-4a53-8f0b-5f3c2f1f7a10", ValidFrom: now.Add(-time.Hour), ValidUntil: now.Add(time.Hour), PIN: "123456"},
		Now: at, Doors: []pages.CollectiveDoor{door(1, "House", collective.ByKey), door(2, "", collective.ByCode), door(3, "Garage", collective.ByBoth), gone},
	}
}

// Who does not see the page is told of each button which door it opens.
func TestButtonsAreNamedAfterTheirDoors(t *testing.T) {
	t.Parallel()
	html := render(t, shared(now))
	buttons := regexp.MustCompile(`<button type="submit" id="([^"]+)" aria-labelledby="([^"]+) ([^"]+)">Open</button>`).FindAllStringSubmatch(html, -1)
	require.Len(t, buttons, 2)
	for i, door := range []string{"House", "Garage"} {
		require.Equal(t, buttons[i][1], buttons[i][2])
		require.Contains(t, html, `<bdi id="`+buttons[i][3]+`">`+door+`</bdi>`)
		require.Equal(t, 1, strings.Count(html, `id="`+buttons[i][1]+`"`))
	}
	require.Contains(t, html, "Cellar</bdi></h2>", "neither a code nor a button opens it any more")
	require.Contains(t, html, "was taken off the key")
}

func TestTheLinkOfAnEndedKeyIsNoSecret(t *testing.T) {
	t.Parallel()
	revoked := shared(now)
	revoked.Key.RevokedAt = &revoked.Now
	for state, p := range map[string]*pages.Collective{
		"Valid now": shared(now), "Not valid yet": shared(now.Add(-2 * time.Hour)), "Expired": shared(now.Add(2 * time.Hour)), "Revoked": revoked,
	} {
		require.Equal(t, state, p.State())
		require.Equal(t, p == revoked || state == "Expired", !strings.Contains(render(t, p), "Keep this link to yourself"), state)
	}
}

func TestAConfirmationNamesTheDoor(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"": "Lock 42", "Haustür": "Haustür", "<b>": "&lt;b&gt;"} {
		html := render(t, &pages.Confirmation{Info: info(lock.StatusValid), Door: name, Now: now})
		require.Contains(t, html, `<p class="state"><bdi>`+want+`</bdi></p>`)
		require.Contains(t, html, " · "+want+"</title>")
	}
}
