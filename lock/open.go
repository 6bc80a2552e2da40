package lock

import (
	"slices"
	"time"
)

// ask is a request to open, whoever makes it.
type ask struct {
	by       Caller
	request  RequestID
	command  CommandID
	key      *TempKey // nil: by right of owner or organisation
	window   window   // that the key is in
	why      string
	lifetime time.Duration
	hold     time.Duration // 0: not without a device
	pin      bool          // by code
}

func (s *State) openLock(c *OpenLock, now time.Time) (Decision, error) {
	if err := s.see(c.By); err != nil {
		return Decision{}, err
	}
	if !isText(c.Reason, maxReason) {
		return Decision{}, invalid("reason", "reason-too-long", "reason may have up to 500 characters")
	}
	a := ask{by: c.By, request: c.RequestID, command: c.CommandID, why: c.Reason, lifetime: c.Lifetime}
	r, err := s.seen(a, "", now)
	if err != nil {
		return Decision{}, err
	}
	if r != nil {
		return s.again(a, r)
	}
	return s.open(a, now)
}

func (s *State) openWithTempKey(c *OpenWithTempKey, now time.Time) (Decision, error) {
	if err := c.By.check(); err != nil {
		return Decision{}, err
	}
	a := ask{by: c.By, request: c.RequestID, command: c.CommandID, lifetime: c.Lifetime, hold: c.Hold}
	k := s.TempKeys.find(c.TempKeyID)
	r, err := s.seen(a, c.TempKeyID, now)
	switch {
	case err != nil:
		return Decision{}, err
	case r != nil && r.UserID == c.By.UserID: // who made it is told the outcome even if the key is gone since
		return s.again(a, r)
	case k == nil:
		return Decision{}, noTempKey()
	case !k.mayUse(c.By.UserID):
		return Decision{}, reject(Forbidden, "temp-key-not-for-you", "This key is for certain users only. Open it from an account that it names.")
	case r != nil:
		return s.again(a, r)
	}
	if !k.ByLink() {
		return Decision{}, reject(Forbidden, "door-needs-code", "This door is opened with the code, at the door.")
	}
	var status Status
	if a.window, status = k.standing(now, MaxHold); status != StatusValid {
		return Decision{}, k.refused(status)
	}
	a.key = k
	return s.open(a, now)
}

// ReasonRequestReused says that the ID of a request to open was used for another one.
const ReasonRequestReused = "request-id-reused"

// seen looks for an earlier request with the same ID. It must have been for the same key, or by the same caller, and no other request of
// the caller may have the ID for a name.
func (s *State) seen(a ask, key TempKeyID, now time.Time) (*request, error) {
	if !isToken(string(a.request)) || !isToken(string(a.command)) {
		return nil, invalid("requestId", "request-id-invalid", "requestId must have 1 to 128 visible ASCII characters")
	}
	r := s.Requests.find(a.request)
	if r == nil {
		if named := s.Once.byID[[2]string{a.by.Scope(), string(a.request)}]; named != nil && now.Sub(named.At) < onceKeptFor {
			return nil, reject(Conflict, ReasonRequestReused, "This requestId is the name of another request to this lock. Use a new one for each open.")
		}
		return nil, nil
	}
	if r.TempKeyID != key || key == "" && r.By != a.by.Name() {
		return nil, reject(Conflict, ReasonRequestReused, "This requestId was used for another open of this lock. Use a new one for each open.")
	}
	return r, nil
}

// again answers a request that was accepted before. A command that came twice on the way from its caller is no repeated request.
func (s *State) again(a ask, r *request) (Decision, error) {
	result := s.openResult(r)
	result.Replayed = r.CommandID != a.command
	return Decision{Reply: result}, nil
}

// open accepts a request: it joins the command that is on its way, or starts one.
func (s *State) open(a ask, now time.Time) (Decision, error) {
	if a.lifetime <= 0 || a.lifetime > MaxLifetime || a.hold < 0 || a.hold > MaxHold {
		return Decision{}, invalid("", "lifetime-invalid", "the lifetime of an open must be up to 15 s, and its hold up to 60 s")
	}
	online := s.Device.Connected
	if !online && a.hold == 0 {
		return Decision{}, deviceOffline()
	}
	wait := a.lifetime
	if !online {
		wait = a.hold
	}
	if a.key != nil {
		// A motor may still move at its deadline, but not at the end of the key's window any more. With less than a
		// millisecond left there is no time to open.
		if wait = min(wait, a.window.Until.Sub(now)-time.Millisecond); wait <= 0 {
			if _, later := a.key.window(a.window.Until, 0); later {
				return Decision{}, a.key.refused(StatusNotYetValid)
			}
			return Decision{}, a.key.refused(StatusExpired)
		}
	}

	var d Decision
	cmd := s.joinable(a, wait, now)
	event := &LockOpenRequested{
		Stamp: s.stampBy(a.by, now), RequestID: a.request, CommandID: a.command, UserID: a.by.UserID,
		Reason: a.why, PIN: a.pin, Held: !online, Deadline: deadline(now, wait),
	}
	if a.key != nil {
		event.TempKeyID = a.key.UUID
	}
	event.Forgets = s.Requests.crowd(event.TempKeyID, event.By, now)
	if err := s.makeRoom(&d, cmd != nil, now); err != nil {
		return Decision{}, err
	}
	switch {
	case cmd != nil:
		event.CommandID, event.Deadline, event.Held, event.Joined = cmd.ID, cmd.Deadline, cmd.Outcome == Reserved, true
		event.DeadlineEnforced = cmd.DeadlineEnforced
	case s.command(a.command) != nil:
		return Decision{}, reject(Conflict, "command-id-reused", "This open is on its way already.")
	case online:
		event.Session, event.DeadlineEnforced = s.Device.Session, s.Device.Deadline
	}
	d.Events = slices.Grow(d.Events, 2)
	if a.key != nil {
		d.Events = append(d.Events, &TempKeyUsed{
			Stamp: event.Stamp, TempKeyID: a.key.UUID, UserID: a.by.UserID, UsedCount: a.key.UsedCount + 1, RequestID: a.request,
		})
	}
	d.Events = append(d.Events, event)
	epoch := s.Version + uint64(len(d.Events))
	if cmd == nil && online {
		d.Effects = append(d.Effects, s.Device.sendOpen(a.command, epoch, event.Deadline))
	}
	d.Reply = s.openResult(requestOf(event, epoch))
	return d, nil
}

// joinable finds the command that the request can join: one that will end in time for it, and has at least half of
// the time left that the request would get by itself. One that another process has sent may have been answered already.
func (s *State) joinable(a ask, wait time.Duration, now time.Time) *DeviceCommand {
	latest, earliest := now.Add(wait), now.Add(wait/2)
	for _, cmd := range s.Commands {
		way := cmd.Outcome == Reserved && !s.Device.Connected ||
			cmd.Outcome == Sent && cmd.latest.IsZero() && s.Device.Connected && cmd.Session == s.Device.Session
		inTime := !cmd.Deadline.After(latest) && !cmd.until().Before(earliest)
		if way && inTime {
			return cmd
		}
	}
	return nil
}

// makeRoom gives up the oldest unresolved command when there are too many commands, or too many requests in them.
func (s *State) makeRoom(d *Decision, joins bool, now time.Time) error {
	requests := 0
	for _, cmd := range s.Commands {
		requests += len(cmd.Requests)
	}
	if requests < maxRequests && (joins || len(s.Commands) < maxCommands) {
		return nil
	}
	for _, cmd := range s.Commands {
		if cmd.Outcome == Unknown {
			e := s.failed(cmd, Unknown, "given-up", "Too many opens without an answer came after it.", true, now)
			e.Resolved = false
			d.Events = append(d.Events, e)
			return nil
		}
	}
	return reject(Busy, "too-many-opens", "Too many opens are on their way to this lock. Try again in a few seconds.")
}

func (d *Device) sendOpen(id CommandID, epoch uint64, notAfter time.Time) *SendOpen {
	return &SendOpen{
		Session: d.Session, CommandID: id, BootID: d.BootID, Epoch: epoch, NotAfter: notAfter, NotAfterMono: d.Clock.bound(notAfter),
	}
}

func (s *State) command(id CommandID) *DeviceCommand {
	i := slices.IndexFunc(s.Commands, func(c *DeviceCommand) bool { return c.ID == id })
	if i < 0 {
		return nil
	}
	return s.Commands[i]
}

// due is when time alone ends the command, or turns it into an unknown one.
func (c *DeviceCommand) due() (time.Time, bool) {
	switch c.Outcome {
	case Reserved:
		return c.until(), true
	case Sent:
		return c.over().Add(answerGrace), true
	}
	return time.Time{}, false
}

// tick ends the commands whose time is over.
func (s *State) tick(now time.Time) (Decision, error) {
	d := Decision{Reply: &Done{Version: s.Version}}
	missed := false
	for _, cmd := range s.Commands {
		due, ok := cmd.due()
		if !ok || now.Before(due) {
			continue
		}
		if cmd.Outcome == Reserved {
			s.end(&d, s.failed(cmd, Expired, "device-offline", "The lock did not come back in time. Nothing was sent to it.", false, now), cmd, now)
			continue
		}
		s.end(&d, s.failed(cmd, Unknown, "no-answer", "The lock did not answer in time. It may have opened.", false, now), cmd, now)
		missed = missed || s.current(cmd.Session)
	}
	if s.KeyWork != nil {
		missed = s.keyTimeOuts(&d, now) || missed
		rest := *s
		if missed {
			rest.Device = Device{} // it counts as away
		}
		rest.bulkStep(&d, now)
	}
	if missed {
		// From now on the device counts as away: the next open waits for it to come back instead of going the same way.
		d.Events = append(d.Events, &DeviceDisconnected{Stamp: s.stamp("", now), Session: s.Device.Session})
		d.Effects = append(d.Effects, &CloseSession{Session: s.Device.Session, Cause: CauseMissedDeadline})
	}
	return d, nil
}

func (s *State) failed(cmd *DeviceCommand, o Outcome, reason, message string, final bool, now time.Time) *LockOpenFailed {
	return &LockOpenFailed{
		Stamp: s.stamp("", now), CommandID: cmd.ID, Outcome: o, Reason: reason, Message: message, Final: final,
		DeadlineEnforced: cmd.DeadlineEnforced, Resolved: cmd.Outcome == Unknown, OpenFor: openFor(cmd.Requests...),
	}
}

// openFor tells for whom some requests of a command are.
func openFor(requests ...*request) OpenFor {
	f := OpenFor{RequestIDs: make([]RequestID, 0, len(requests))}
	for _, r := range requests {
		f.RequestIDs = append(f.RequestIDs, r.ID)
		if r.TempKeyID != "" && !slices.Contains(f.TempKeyIDs, r.TempKeyID) {
			f.TempKeyIDs = append(f.TempKeyIDs, r.TempKeyID)
		}
	}
	return f
}

// end appends the end of a command, and the return of its uses when it is proven that nothing moved.
func (s *State) end(d *Decision, e *LockOpenFailed, cmd *DeviceCommand, now time.Time) {
	d.Events = append(d.Events, e)
	if e.Outcome != Refused && e.Outcome != Expired {
		return
	}
	for _, r := range cmd.Requests {
		s.giveBack(d, r, now)
	}
}

// giveBack returns the use that a request reserved, unless it came back already or its key is gone.
func (s *State) giveBack(d *Decision, r *request, now time.Time) {
	k := s.TempKeys.find(r.TempKeyID)
	if k == nil || r.KeyDeleted || r.UseReturned {
		return
	}
	left := k.UsedCount - 1
	for i := len(d.Events) - 1; i >= 0; i-- {
		if e, ok := d.Events[i].(*TempKeyUseReturned); ok && e.TempKeyID == k.UUID {
			left = e.UsedCount - 1
			break
		}
	}
	d.Events = append(d.Events, &TempKeyUseReturned{
		Stamp: s.stamp("", now), TempKeyID: k.UUID, UsedCount: left, RequestID: r.ID, CommandID: r.CommandID,
	})
}
