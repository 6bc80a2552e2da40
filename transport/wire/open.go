package wire

// Open tells the device to move its motor, unless the deadline has passed by the device's own clock.
type Open struct {
	CommandID    string
	Session      string
	Epoch        uint64
	BootID       string
	NotAfterMono int64 // the last millisecond since the device's boot at which the motor may start
	PulseMs      int64 // how long to stay open; 0: as the device is set up
}

// Parse reads the payload of an Open.
func (p *Open) Parse(payload []byte) error {
	*p = Open{}
	r := reader{b: payload}
	epoch, notAfter := false, false
	r.object(func(key []byte) bool {
		switch string(key) {
		case "commandId":
			p.CommandID = r.name()
		case "session":
			p.Session = r.name()
		case "epoch":
			p.Epoch, epoch = r.uint(), true
		case "bootId":
			p.BootID = r.name()
		case "notAfterMono":
			p.NotAfterMono, notAfter = r.int(), true
		case "pulseMs":
			p.PulseMs = r.int()
		default:
			return false
		}
		return true
	})
	r.require(p.CommandID != "", "commandId")
	r.require(p.Session != "", "session")
	r.require(epoch, "epoch")
	r.require(p.BootID != "", "bootId")
	r.require(notAfter, "notAfterMono")
	return r.end()
}

// Append writes the payload.
func (p *Open) Append(dst []byte) []byte {
	o := openObject(dst)
	o.text("commandId", p.CommandID)
	o.text("session", p.Session)
	o.uint("epoch", p.Epoch)
	o.text("bootId", p.BootID)
	o.int("notAfterMono", p.NotAfterMono)
	if p.PulseMs > 0 {
		o.int("pulseMs", p.PulseMs)
	}
	return o.close()
}

// OpenResult is the device's word that its motor moved. An Open that did not move it is refused with an error frame.
type OpenResult struct {
	CommandID string
	Bolt      string
	Mono      int64 // ms since the boot, when the answer was written; 0: not told
}

// Parse reads the payload of the answer to an Open.
func (p *OpenResult) Parse(payload []byte) error {
	*p = OpenResult{}
	r := reader{b: payload}
	opened := false
	r.object(func(key []byte) bool {
		switch string(key) {
		case "commandId":
			p.CommandID = r.name()
		case "outcome":
			if inner, _ := r.span(); string(inner) != OutcomeOpened {
				r.fail("outcome is not \"opened\"; refuse with an error frame")
			}
			opened = true
		case "bolt":
			p.Bolt = r.text(MaxName)
		case "mono":
			p.Mono = r.int()
		default:
			return false
		}
		return true
	})
	r.require(p.CommandID != "", "commandId")
	r.require(opened, "outcome")
	return r.end()
}

// Append writes the payload.
func (p *OpenResult) Append(dst []byte) []byte {
	o := openObject(dst)
	o.text("commandId", p.CommandID)
	o.text("outcome", OutcomeOpened)
	if p.Bolt != "" {
		o.text("bolt", p.Bolt)
	}
	if p.Mono > 0 {
		o.int("mono", p.Mono)
	}
	return o.close()
}

// Executed is whether the motor moved for a command that was refused.
type Executed uint8

// What a device may say of a refused command: "unknown" or nothing, false, true.
const (
	ExecutedUnknown Executed = iota
	NotExecuted
	WasExecuted
)

// Details are the details of an error frame. Both members may be missing.
type Details struct {
	CommandID string
	Executed  Executed
}

// Parse reads the details of an error frame.
func (d *Details) Parse(details []byte) error {
	*d = Details{}
	r := reader{b: details}
	r.object(func(key []byte) bool {
		switch string(key) {
		case "commandId":
			d.CommandID = r.name()
		case "executed":
			d.Executed = r.executed()
		default:
			return false
		}
		return true
	})
	return r.end()
}

func (r *reader) executed() Executed {
	switch string(r.raw()) {
	case "true":
		return WasExecuted
	case "false":
		return NotExecuted
	case `"unknown"`:
		return ExecutedUnknown
	}
	r.fail(`executed is not true, false or "unknown"`)
	return ExecutedUnknown
}

// Append writes the details.
func (d *Details) Append(dst []byte) []byte {
	o := openObject(dst)
	if d.CommandID != "" {
		o.text("commandId", d.CommandID)
	}
	o.key("executed")
	o.dst = append(o.dst, [...]string{`"unknown"`, "false", "true"}[min(d.Executed, WasExecuted)]...)
	return o.close()
}
