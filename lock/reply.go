package lock

import "time"

// Reply is the answer to a command that was not rejected.
type Reply interface{ isReply() }

type (
	// Done answers a command. Event is nil when there was nothing to change.
	Done struct {
		Version uint64
		Event   Event
		// Replayed tells that the request was carried out before. Its event is then the record of EventVersion, for whoever wants it;
		// 0: there is none.
		Replayed     bool
		EventVersion uint64
	}
	// OpenResult is what is known of one request to open.
	OpenResult struct {
		Version          uint64
		RequestID        RequestID
		CommandID        CommandID
		Event            *LockOpenRequested // the same one each time that the request ID is seen, but for the deadline
		TempKeyID        TempKeyID
		Outcome          Outcome
		Reason           string // of refused, expired, unknown; and "device-offline" while it is held
		Message          string
		Offline          bool // the device had no session when the request came
		DeadlineEnforced bool // the device that it was sent to can refuse it when it comes late; false while it is held
		UseReturned      bool
		Final            bool // nobody will ever know more. An unknown one is not, as long as the device may come back and tell
		Replayed         bool // the request was accepted before, and this is its answer of now
		At               time.Time
		Deadline         time.Time // earlier than it was when a held open leaves for a device that came back
	}
	// KeyResult is what is known of a change of a permanent key.
	KeyResult struct {
		Version   uint64
		CommandID CommandID // empty: the device has no part in it
		Action    KeyAction
		Key       Key
		Event     Event   // KeyAdded, KeyRemoved or KeyWriteRequested; nil: there was nothing to change, or it has not happened
		Outcome   Outcome // confirmed, sent, refused, expired, unknown
		Reason    string  // of refused, expired, unknown
		Message   string
		Deadline  time.Time
	}
	// BulkProgress is how far a job has come.
	BulkProgress struct {
		ID        JobID
		StartedAt time.Time
		ChangedAt time.Time
		Ended     bool
		Waiting   bool // for the device, or for a job before it
		Keys      []BulkKey
	}
	// BulkKey is one key of a job.
	BulkKey struct {
		Key    Key
		Status BulkStatus
		Reason string // of failed and unknown
	}
	// Info is the lock as its owner or organisation sees it.
	Info struct {
		ID           ID
		UUID         UUID
		Version      uint64
		SerialNumber string
		VendorName   string
		OwnerID      UserID
		OrgID        OrgID
		EventsAfter  uint64 // the caller may read the events after this version
		Keys         []Key
		Residents    []Resident
		CreatedAt    time.Time
		ChangedAt    time.Time
		Reported     Reported
		Config       Config
		Online       bool
		Firmware     string
		// DeadlineEnforced is false when the connected device cannot refuse a late command by itself.
		DeadlineEnforced bool
	}
	// TempKeyView is one temporary key with its status at the instant of the query. Of a key with a schedule or grace it says when
	// that changes, as far as its uses allow.
	TempKeyView struct {
		TempKey
		Status     Status
		OpenUntil  *time.Time  // the end of the window that it is in; nil: in none, or in one that ends in more than 31 days
		NextWindow *NextWindow // nil: it is in a window, or there is none any more
	}
	// NextWindow is a stretch of time in which a key will open: From is inside, Until is not.
	NextWindow struct {
		From  time.Time
		Until *time.Time // nil: more than 31 days after From
	}
	// TempKeyList holds keys of a lock, oldest first.
	TempKeyList struct {
		ID       ID
		UUID     UUID
		TempKeys []TempKeyView
		More     bool // there are more than were asked for
	}
	// TempKeyInfo is what the holder of a link may know.
	TempKeyInfo struct {
		ID           ID
		UUID         UUID
		SerialNumber string
		VendorName   string
		Key          TempKeyView
		Deleted      bool // the key is no more: of it there is only its UUID, and Open
		Online       bool
		Reported     Reported
		Open         *OpenResult // the open that was asked about, or that is on its way; nil when there is none
	}
	// Greeting is what a device's Hello is answered with.
	Greeting struct {
		Epoch   uint64
		AckSeq  uint64
		Resolve []CommandID
		Desired *Config // nil: the device has it
	}
)

func (*Done) isReply()         {}
func (*OpenResult) isReply()   {}
func (*KeyResult) isReply()    {}
func (*BulkProgress) isReply() {}
func (*Info) isReply()         {}
func (*TempKeyList) isReply()  {}
func (*TempKeyInfo) isReply()  {}
func (*Greeting) isReply()     {}

// Effect is what has to be done to a device's session once the events of the decision are durable.
type Effect interface{ To() Session }

type (
	// SendOpen tells the device to open, unless NotAfter has passed. NotAfter keeps Go's monotonic reading:
	// it must be turned into the device's clock by the node that holds the socket, as late as possible.
	SendOpen struct {
		Session   Session
		CommandID CommandID
		BootID    string
		Epoch     uint64
		NotAfter  time.Time
		// NotAfterMono is NotAfter on the device's clock, as far as the grain can tell. It bounds what the session works out by
		// itself: an effect may be under way to another node for longer than anybody there can know. 0: there is no such bound.
		NotAfterMono int64
	}
	// SendKey tells the device to change its table of permanent keys. It goes out as an open does, and no later.
	SendKey struct {
		SendOpen
		Action KeyAction
		Key    Key
	}
	// SendConfig tells the device how it should be set up.
	SendConfig struct {
		Session Session
		Config  Config
	}
	// AskStatus asks the device what became of commands.
	AskStatus struct {
		Session    Session
		CommandIDs []CommandID
	}
	// AckEvents answers the call CallID: events up to AckSeq are durable.
	AckEvents struct {
		Session Session
		CallID  string
		AckSeq  uint64
	}
	// CloseSession ends a session that is not the lock's newest any more, that missed a deadline, or whose secret was withdrawn.
	CloseSession struct {
		Session Session
		Cause   CloseCause
	}
)

// CloseCause says why a session is ended.
type CloseCause uint8

// The causes.
const (
	CauseReplaced       CloseCause = iota + 1 // a newer socket of the same device took over
	CauseMissedDeadline                       // an answer did not come in time: reset, so that its bytes die with it
	CauseCredentials                          // the secret that it came with was withdrawn: reset, for nothing may reach whoever has it
	CauseUnsure                               // what it told got lost, or whether it is the newest one: reset, for a new Hello answers that
)

// To names the session that the effect is for.
func (e *SendOpen) To() Session { return e.Session }

// To names the session that the effect is for.
func (e *SendKey) To() Session { return e.Session }

// To names the session that the effect is for.
func (e *SendConfig) To() Session { return e.Session }

// To names the session that the effect is for.
func (e *AskStatus) To() Session { return e.Session }

// To names the session that the effect is for.
func (e *AckEvents) To() Session { return e.Session }

// To names the session that the effect is for.
func (e *CloseSession) To() Session { return e.Session }

// Decision is what a command leads to: first the events are made durable, then the effects happen, then the reply is given.
type Decision struct {
	Events  []Event
	Effects []Effect
	Reply   Reply
	// SafeAfter and SafeAt delay the reply: a revocation is acknowledged only when no command of that key can move the
	// motor any more, which is when each of these commands has an outcome other than sent, or the instant has passed.
	SafeAfter []CommandID
	SafeAt    time.Time
}
