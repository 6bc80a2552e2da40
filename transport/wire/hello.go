package wire

import (
	"slices"
	"time"
)

// Hello is the first call of a device on every socket.
type Hello struct {
	BootID   string // another one after every boot
	Mono     int64  // ms since the boot, sleep included
	Firmware string
	Caps     []string
	LastSeq  uint64 // of the newest event in the device's journal
	Reported Reported
}

// Reported is the device's state. Empty and zero fields are not told.
type Reported struct {
	Bolt    string
	Door    string
	Battery int // per cent
	Config  uint64
}

// Has tells whether the device named a capability.
func (h *Hello) Has(capability string) bool { return slices.Contains(h.Caps, capability) }

// Parse reads the payload of a Hello.
func (h *Hello) Parse(payload []byte) error {
	*h = Hello{}
	r := reader{b: payload}
	mono := false
	r.object(func(key []byte) bool {
		switch string(key) {
		case "bootId":
			h.BootID = r.name()
		case "mono":
			h.Mono, mono = r.int(), true
		case "firmware":
			h.Firmware = r.text(MaxName)
		case "caps":
			h.Caps = nil
			r.array(MaxCaps, func() { h.Caps = append(h.Caps, r.name()) })
		case "lastSeq":
			h.LastSeq = r.uint()
		case "reported":
			h.Reported.read(&r)
		default:
			return false
		}
		return true
	})
	r.require(h.BootID != "", "bootId")
	r.require(mono, "mono")
	return r.end()
}

func (p *Reported) read(r *reader) {
	*p = Reported{}
	r.object(func(key []byte) bool {
		switch string(key) {
		case "bolt":
			p.Bolt = r.text(MaxName)
		case "door":
			p.Door = r.text(MaxName)
		case "battery":
			p.Battery = int(min(r.uint(), 100)) // a gauge that is wrong is no reason to keep a door offline
		case "config":
			p.Config = r.uint()
		default:
			return false
		}
		return true
	})
}

// Append writes the payload.
func (h *Hello) Append(dst []byte) []byte {
	o := openObject(dst)
	o.text("bootId", h.BootID)
	o.int("mono", h.Mono)
	if h.Firmware != "" {
		o.text("firmware", h.Firmware)
	}
	o.texts("caps", h.Caps)
	o.uint("lastSeq", h.LastSeq)
	o.key("reported")
	o.dst = h.Reported.append(o.dst)
	return o.close()
}

func (p *Reported) append(dst []byte) []byte {
	o := openObject(dst)
	if p.Bolt != "" {
		o.text("bolt", p.Bolt)
	}
	if p.Door != "" {
		o.text("door", p.Door)
	}
	if p.Battery != 0 {
		o.int("battery", int64(p.Battery))
	}
	if p.Config != 0 {
		o.uint("config", p.Config)
	}
	return o.close()
}

// HelloResult is the server's answer to a Hello.
type HelloResult struct {
	Session     string
	Epoch       uint64
	Time        time.Time // the server's wall clock, for logs: deadlines never use it
	HeartbeatMs int64
	AckSeq      uint64   // the device's events up to here are stored
	Resolve     []string // commands that CommandStatus is going to ask about
	Desired     *Config  // nil: the device has the configuration that it should have
}

// Parse reads the payload of the answer to a Hello.
func (h *HelloResult) Parse(payload []byte) error {
	*h = HelloResult{}
	r := reader{b: payload}
	r.object(func(key []byte) bool {
		switch string(key) {
		case "session":
			h.Session = r.name()
		case "epoch":
			h.Epoch = r.uint()
		case "time":
			t, err := time.Parse(time.RFC3339, r.text(MaxName))
			if t = t.UTC(); err != nil || t.Year() < 1 || t.Year() > 9999 {
				r.fail("time is not RFC 3339")
			}
			h.Time = t
		case "heartbeatMs":
			h.HeartbeatMs = r.int()
		case "ackSeq":
			h.AckSeq = r.uint()
		case "resolve":
			h.Resolve = nil
			r.array(MaxStatuses, func() { h.Resolve = append(h.Resolve, r.name()) })
		case "desired":
			h.Desired = new(Config)
			h.Desired.read(&r)
		default:
			return false
		}
		return true
	})
	r.require(h.Session != "", "session")
	r.require(h.HeartbeatMs > 0, "heartbeatMs")
	return r.end()
}

// Append writes the payload. The time is written in UTC, to the millisecond.
func (h *HelloResult) Append(dst []byte) []byte {
	o := openObject(dst)
	o.text("session", h.Session)
	o.uint("epoch", h.Epoch)
	o.key("time")
	o.dst = append(o.dst, '"')
	o.dst = h.Time.UTC().AppendFormat(o.dst, "2006-01-02T15:04:05.000Z")
	o.dst = append(o.dst, '"')
	o.int("heartbeatMs", h.HeartbeatMs)
	o.uint("ackSeq", h.AckSeq)
	o.texts("resolve", h.Resolve)
	if h.Desired != nil {
		o.key("desired")
		o.dst = h.Desired.Append(o.dst)
	}
	return o.close()
}
