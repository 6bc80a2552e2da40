package pages

import (
	"time"

	"github.com/latchkey/latchkey/lock"
)

// Outcome is what is known, as a word for style sheets and programs.
func (p *Confirmation) Outcome() string {
	if p.Open == nil {
		return "none"
	}
	return string(p.Open.Outcome)
}

// Title is the outcome in a few words.
func (p *Confirmation) Title() string {
	switch outcome := lock.Outcome(p.Outcome()); {
	case outcome == lock.Reserved:
		return "Waiting for the lock"
	case outcome == lock.Sent:
		return "Opening\u2026"
	case outcome == lock.Opened && p.Old():
		return "Opened earlier"
	case outcome == lock.Opened:
		return "Opened"
	case outcome == lock.Refused, outcome == lock.Expired:
		return "Not opened"
	case outcome == lock.Unknown && doubts[p.Open.Reason] != "":
		return "It may have opened"
	case outcome == lock.Unknown:
		return "No answer from the lock"
	case p.Named:
		return "We do not know this request"
	default:
		return "Nothing to tell"
	}
}

// Text says what it means, and what to do.
func (p *Confirmation) Text() string {
	switch outcome := lock.Outcome(p.Outcome()); {
	case outcome == lock.Reserved:
		return "The lock is offline. It opens if it comes back within " + duration(max(time.Second, p.Open.Deadline.Sub(p.Now))) + ", and not later."
	case outcome == lock.Sent:
		return "The command is on its way. The lock has not answered yet."
	case outcome == lock.Opened && p.Old():
		return "You asked " + duration(p.Ago()) + " ago, and the lock opened. It may have locked since."
	case outcome == lock.Opened:
		return "The lock says that it has opened. Go in."
	case outcome == lock.Refused:
		return textOf(refusals, p.Open.Reason, "The lock did not open. Try again.")
	case outcome == lock.Expired && p.Open.Reason == "device-offline":
		return "The lock was offline and did not come back in time. It will not open for this request any more. Try again."
	case outcome == lock.Expired:
		return "The command did not reach the lock in time. It will not open for this request any more. Try again."
	case outcome == lock.Unknown:
		return textOf(doubts, p.Open.Reason, "The command was sent, but the lock did not answer.") + " It may have opened: try the door."
	case p.Named:
		return "It may never have reached us, or it was too long ago. Try the door. If it is locked, go back to the key and open it from there."
	default:
		return "This address names no request, so it cannot tell whether a door opened. Go back to the key to open it from there."
	}
}

func textOf(texts map[string]string, reason, otherwise string) string {
	if text := texts[reason]; text != "" {
		return text
	}
	return otherwise
}

// refusals are the reasons that a guest can do something about.
var refusals = map[string]string{
	"jammed":             "The lock is jammed. Pull or push the door a little and try again.",
	"low-battery":        "The lock's battery is too low to open. Call whoever sent you the key.",
	"temp-key-withdrawn": "The key was changed or revoked before the lock came back. It will not open for this request.",
	"device-busy":        "The lock was busy. Try again in a moment.",
	"unsupported":        "This lock cannot be opened from here. Call whoever sent you the key.",
}

// doubts are what a lock says that cannot tell whether it has opened. Of one whose reason is not here nothing was heard.
var doubts = map[string]string{
	"jammed":          "The lock answered that it is jammed.",
	"moved":           "The lock answered that its motor moved, and that something went wrong.",
	"low-battery":     "The lock answered that its battery is low.",
	"device-busy":     "The lock answered that it was busy.",
	"device-error":    cannotTell,
	"stale-session":   cannotTell,
	"stale-epoch":     cannotTell,
	"boot-mismatch":   cannotTell,
	"unsupported":     cannotTell,
	"no-space":        cannotTell,
	"deadline-passed": cannotTell,
	"journal-lost":    "The lock has started anew since, and does not know any more what became of the command.",
}

const cannotTell = "The lock answered that something went wrong."

// Sign is the drawing of the outcome: a tick only when the lock has said that it opened, just now.
func (p *Confirmation) Sign() string {
	switch outcome := lock.Outcome(p.Outcome()); {
	case outcome == lock.Opened && !p.Old():
		return "M14 25l7 7 13-15"
	case outcome == lock.Refused, outcome == lock.Expired:
		return "M16 16l16 16M32 16L16 32"
	case outcome == lock.Reserved, outcome == lock.Sent, outcome == lock.Opened:
		return "M24 13v12l8 5"
	default:
		return "M18 18c1-7 13-7 12 1 0 4-6 4-6 9M24 34v1"
	}
}
