// Package wire is the device protocol latchkey.v1 as bytes: the frames of a session between server and lock, the
// payloads that they carry, and the numbers that both sides keep to.
//
// A frame is one JSON array in OCPP-J's framing: [2,id,action,payload] calls, [3,id,payload] answers, and
// [4,id,code,description,details] refuses. Parsers are strict about what they know (types, ranges, lengths, UTF-8)
// and pass over object members that they do not know, so that either side may be older than the other.
// They read by hand, without reflection, keep no reference to their input unless they say so, and never panic.
//
// The package needs nothing but the standard library, so that servers, simulators and test tools can share it.
package wire

import "time"

// Subprotocol is the WebSocket subprotocol that both sides must agree on.
const Subprotocol = "latchkey.v1"

// The actions of calls. Hello, Heartbeat and Events go from the device to the server, the others to the device.
const (
	ActionHello         = "Hello"
	ActionHeartbeat     = "Heartbeat"
	ActionEvents        = "Events"
	ActionOpen          = "Open"
	ActionCommandStatus = "CommandStatus"
	ActionAddKey        = "AddKey"
	ActionRemoveKey     = "RemoveKey"
	ActionWriteKey      = "WriteKey"
	ActionSetConfig     = "SetConfig"
)

// The codes of error frames.
const (
	CodeExpired      = "Expired"      // the deadline has passed on the device's clock
	CodeStaleSession = "StaleSession" // the command names a session that is not this one
	CodeStaleEpoch   = "StaleEpoch"   // the command is older than one that the device has obeyed
	CodeBootMismatch = "BootMismatch" // the device has booted since the command was made
	CodeBusy         = "Busy"         // another movement is going on; of the server: too many events
	CodeJammed       = "Jammed"       // the motor did not reach its end
	CodeLowBattery   = "LowBattery"   // there is not enough power to move the motor
	CodeNoSpace      = "NoSpace"      // the table of keys is full
	CodeUnsupported  = "Unsupported"  // the receiver does not know the action
	CodeBadFormat    = "BadFormat"    // the payload is not what the action asks for
	CodeInternal     = "Internal"     // anything else that is the receiver's fault
)

// The close codes of the server. Every one but CloseReplaced means: come back, after the usual pause.
const (
	CloseBadFrame    = 4400 // a frame that no good device sends
	CloseCredentials = 4401 // the credentials are not good any more
	CloseHeartbeat   = 4408 // nothing was heard for two heartbeats
	CloseReplaced    = 4409 // a newer socket of the same device took over
	CloseRate        = 4429 // too many frames
	CloseDraining    = 4503 // the server goes away; the reason is a RetryAfter
)

// The capabilities that a device names in its Hello.
const (
	CapDeadline = "deadline" // it refuses an open after the deadline, by its own clock
	CapKeys     = "keys"     // it keeps a table of permanent keys
	CapJournal  = "journal"  // it keeps the IDs and results of commands over a loss of power
)

// The statuses of a command in the answer to CommandStatus.
const (
	StatusExecuted    = "executed" // its answer was, or would have been, that it is done
	StatusMoved       = "moved"    // the motor moved, or may have, and its answer was an error: a jam
	StatusRefused     = "refused"
	StatusNotSeen     = "not-seen"
	StatusJournalLost = "journal-lost"
)

// OutcomeOpened is the only outcome of an Open that is answered and not refused.
const OutcomeOpened = "opened"

// OutcomeDone is the only outcome of a command about a key that is answered and not refused.
const OutcomeDone = "done"

// Limits of frames and of what they carry. A frame that breaks one of them is malformed.
const (
	MaxFrame     = 16 << 10  // bytes of a frame
	MaxFrameID   = 36        // bytes of a frame's ID: printable ASCII without quote and backslash
	MaxName      = 64        // bytes of actions, codes, boot IDs, command IDs, firmware versions, kinds of events
	MaxKeyUUID   = 800       // bytes of the UUID of a permanent key, which need not look like one
	MaxText      = 512       // bytes of descriptions and of an event's value
	MaxCaps      = 32        // capabilities in a Hello
	MaxEvents    = 100       // items in Events
	MaxSeqAhead  = 1_000_000 // by so much an event's seq may be ahead of what is acknowledged
	MaxStatuses  = 128       // command IDs in CommandStatus and in HelloResult's resolve
	MaxDepth     = 16        // nesting of arrays and objects in members that the parser passes over
	MaxInt       = 1<<53 - 1
	MaxUnsent    = 64 << 10 // bytes that wait for a slow device before it is disconnected
	FramesPerSec = 20       // frames that a device may send for long
	FrameBurst   = 100      // frames that it may send at once
	// Bytes of Events that a device may send for long and at once. Each call counts for so many bytes more.
	EventBytesPerSec = 256
	EventBurst       = 1 << 20
	EventCallBytes   = 128

	MissesToClose  = 2 // heartbeats that may be missed
	HelloTimeout   = 10 * time.Second
	MaxArrivals    = 4 // sockets of one device that have not said Hello
	HeartbeatEvery = 25 * time.Second
)
