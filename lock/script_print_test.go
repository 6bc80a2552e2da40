package lock

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/stretchr/testify/require"
)

func (r *script) print(format string, args ...any) {
	if len(args) > 0 {
		format = fmt.Sprintf(format, args...)
	}
	r.out = append(r.out, short(format))
}

var (
	today     = regexp.MustCompile(`2026-05-01T(\d\d:\d\d:\d\d(\.\d+)?)Z`)
	tempKeyID = regexp.MustCompile(`00000000-0000-4000-8000-0*(\d+)`)
	uuid      = regexp.MustCompile(`00000000-0000-4000-9000-0*(\d+)`)
)

// short writes UUIDs and the instants of the script's day as scripts do.
func short(s string) string {
	s = today.ReplaceAllString(s, "$1")
	return uuid.ReplaceAllString(tempKeyID.ReplaceAllString(s, "k$1"), "u$1")
}

func instant(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

func join[T ~string](ids []T) string {
	var all []string
	for _, id := range ids {
		all = append(all, string(id))
	}
	return strings.Join(all, ", ")
}

// describeEvent writes an event with the fields that it has in the journal, but for its stamp.
func describeEvent(t require.TestingT, e Event) string {
	switch e := e.(type) {
	case *DeviceConnected:
		return "DeviceConnected " + describeSession(e.Device.Session)
	case *DeviceDisconnected:
		return "DeviceDisconnected " + describeSession(e.Session)
	}
	typ, data, err := MarshalEvent(e)
	require.NoError(t, err)
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	fields := describeJSON(t, d)
	return typ + " " + strings.TrimSuffix(strings.TrimPrefix(fields, "{"), "}")
}

var hidden = map[string]bool{"at": true, "lockUuid": true, "orgId": true, "createdAt": true, "mono": true}

// describeJSON writes the next value of the decoder as a script shows it.
func describeJSON(t require.TestingT, d *json.Decoder) string {
	token, err := d.Token()
	require.NoError(t, err)
	switch token := token.(type) {
	case json.Delim:
		var parts []string
		for d.More() {
			name := ""
			if token == '{' {
				key, err := d.Token()
				require.NoError(t, err)
				name = key.(string)
			}
			value := describeJSON(t, d)
			switch {
			case hidden[name]:
			case name == "session":
				id := strings.Fields(strings.Trim(value, "{}"))[1]
				parts = append(parts, "session=s"+strings.TrimPrefix(id, "id="))
			case name == "hash":
				parts = append(parts, "hash=...")
			case name == "pin" && value != "true":
				parts = append(parts, "pin=...")
			case name != "":
				parts = append(parts, name+"="+value)
			default:
				parts = append(parts, value)
			}
		}
		_, err := d.Token()
		require.NoError(t, err)
		if token == '[' {
			return "[" + strings.Join(parts, " ") + "]"
		}
		return "{" + strings.Join(parts, " ") + "}"
	case string:
		if token == "" || strings.Contains(token, " ") {
			return strconv.Quote(token)
		}
		return token
	default:
		return fmt.Sprint(token)
	}
}

func describeSession(s Session) string { return "s" + strconv.FormatUint(s.ID, 10) }

func describeEffect(e Effect) string {
	what := ""
	switch e := e.(type) {
	case *SendOpen:
		what = fmt.Sprintf("Open %s until %s epoch=%d boot=%s", e.CommandID, instant(e.NotAfter), e.Epoch, e.BootID)
	case *SendKey:
		what = fmt.Sprintf("%s %s %s until %s epoch=%d boot=%s", e.Action, e.CommandID, e.Key.UUID, instant(e.NotAfter), e.Epoch, e.BootID)
	case *SendConfig:
		what = fmt.Sprintf("SetConfig %d: relock after %d ms", e.Config.Number, e.Config.RelockMs)
	case *AskStatus:
		what = "CommandStatus " + join(e.CommandIDs)
	case *AckEvents:
		what = fmt.Sprintf("answer %s: ackSeq=%d", e.CallID, e.AckSeq)
	case *CloseSession:
		what = map[CloseCause]string{CauseReplaced: "close, it was replaced", CauseMissedDeadline: "reset, it missed a deadline", CauseCredentials: "reset, its secret was withdrawn", CauseUnsure: "reset, a new Hello has to tell"}[e.Cause]
	}
	return "-> " + describeSession(e.To()) + ": " + what
}

var kinds = map[Kind]string{
	Invalid: "invalid", Unauthentic: "unauthentic", Forbidden: "forbidden", NotFound: "not found", Conflict: "conflict", Offline: "offline", Busy: "busy", Mismatch: "mismatch",
}

func describeError(err error) string {
	var e *Error
	if !errors.As(err, &e) {
		return "! not an *Error: " + err.Error()
	}
	s := "! " + kinds[e.Kind] + ": " + e.Reason
	if e.Field != "" {
		s += " (" + e.Field + ")"
	}
	return s
}

func describeReply(r Reply) []string {
	switch r := r.(type) {
	case *Done:
		if r.Event == nil {
			return nil
		}
		return []string{fmt.Sprintf("version %d", r.Version)}
	case *OpenResult:
		return []string{describeOpen(r)}
	case *KeyResult:
		s := fmt.Sprintf("%s %s is %s", r.Action, r.Key.UUID, r.Outcome)
		if r.CommandID != "" {
			s += " by " + string(r.CommandID)
		}
		if r.Reason != "" {
			s += ", " + r.Reason
		}
		if r.Event != nil {
			s += fmt.Sprintf(", version %d", r.Version)
		}
		return []string{s}
	case *BulkProgress:
		s := []string{fmt.Sprintf("%s: ended=%t waiting=%t", r.ID, r.Ended, r.Waiting)}
		for _, k := range r.Keys {
			s = append(s, strings.TrimSpace(fmt.Sprintf("%s %s %s", k.Key.UUID, k.Status, k.Reason)))
		}
		return s
	case *Greeting:
		s := fmt.Sprintf("hello: epoch=%d ackSeq=%d", r.Epoch, r.AckSeq)
		if len(r.Resolve) > 0 {
			s += " resolve=" + join(r.Resolve)
		}
		if r.Desired != nil {
			s += fmt.Sprintf(" desired=%d: relock after %d ms", r.Desired.Number, r.Desired.RelockMs)
		}
		return []string{s}
	case *TempKeyInfo:
		s := []string{describeKey(&r.Key)}
		if r.Deleted {
			s[0] = string(r.Key.UUID) + " is deleted"
		}
		if r.Open != nil {
			s = append(s, describeOpen(r.Open))
		}
		return s
	case *TempKeyList:
		var s []string
		for _, k := range r.TempKeys {
			s = append(s, describeKey(&k))
		}
		return s
	case *PINRefused:
		if r.LockedFor > 0 {
			return []string{"the panel is locked for " + r.LockedFor.String()}
		}
		return []string{"the code is refused"}
	case *Info:
		s := fmt.Sprintf("owner=%s org=%s online=%t deadlineEnforced=%t reported={Bolt:%s Door:%s Battery:%d}", r.OwnerID, r.OrgID, r.Online,
			r.DeadlineEnforced, r.Reported.Bolt, r.Reported.Door, r.Reported.Battery)
		if r.Config.Number != 0 || r.Reported.Config != 0 {
			s += fmt.Sprintf(" config=%d of %d", r.Reported.Config, r.Config.Number)
		}
		for _, k := range r.Keys {
			s += " key=" + k.UUID
			if k.OnDevice != "" {
				s += " (on the device: " + string(k.OnDevice) + ")"
			}
		}
		for _, p := range r.Residents {
			s += " resident=" + string(p.UserID)
		}
		return []string{s}
	}
	return []string{fmt.Sprintf("%T", r)}
}

func describeKey(k *TempKeyView) string {
	limit := "unlimited"
	if k.MaxUses != nil {
		limit = fmt.Sprintf("of %d", *k.MaxUses)
	}
	s := fmt.Sprintf("%s is %s: %s, %s..%s, used %d %s", k.UUID, k.Status, k.AccessMode, Instant(k.ValidFrom), Instant(k.ValidUntil), k.UsedCount, limit)
	if len(k.AllowedUserIDs) > 0 {
		s += ", for " + join(k.AllowedUserIDs)
	}
	return s
}

func describeOpen(r *OpenResult) string {
	s := fmt.Sprintf("%s is %s by %s, until %s", r.RequestID, r.Outcome, r.CommandID, instant(r.Deadline))
	for _, word := range []struct {
		said bool
		text string
	}{
		{r.Event.Joined, "joined"}, {r.Offline, "asked for while offline"}, {!r.DeadlineEnforced, "deadline not enforced"},
		{r.UseReturned, "use returned"}, {r.Replayed, "as before"}, {r.Reason != "", r.Reason}, {r.Outcome == Unknown && r.Final, "for ever"},
	} {
		if word.said {
			s += ", " + word.text
		}
	}
	return s
}
