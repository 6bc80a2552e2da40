package wire

// Events reports what happened at the device, in the order of seq. It is answered with an Ack once they are stored.
type Events struct {
	Items []Event
}

// Event is one thing that happened at the device.
type Event struct {
	Seq   uint64 // from 1, one more each time, never reused
	Type  string // bolt, door, battery, tamper, rssi, firmware or manual-open
	Value string // text; numbers in decimal
	Mono  int64  // ms since the boot, when it happened
}

// Parse reads the payload of Events.
func (e *Events) Parse(payload []byte) error {
	*e = Events{}
	r := reader{b: payload}
	r.object(func(key []byte) bool {
		if string(key) != "items" {
			return false
		}
		e.Items = nil
		r.array(MaxEvents, func() {
			var item Event
			item.read(&r)
			if n := len(e.Items); n > 0 && item.Seq <= e.Items[n-1].Seq {
				r.fail("seq does not grow")
			}
			e.Items = append(e.Items, item)
		})
		return true
	})
	r.require(len(e.Items) > 0, "items")
	return r.end()
}

func (e *Event) read(r *reader) {
	r.object(func(key []byte) bool {
		switch string(key) {
		case "seq":
			e.Seq = r.uint()
		case "type":
			e.Type = r.name()
		case "value":
			e.Value = r.text(MaxText)
		case "mono":
			e.Mono = r.int()
		default:
			return false
		}
		return true
	})
	r.require(e.Seq > 0, "seq")
	r.require(e.Type != "", "type")
}

// Append writes the payload.
func (e *Events) Append(dst []byte) []byte {
	o := openObject(dst)
	o.key("items")
	o.dst = append(o.dst, '[')
	for i := range e.Items {
		if i > 0 {
			o.dst = append(o.dst, ',')
		}
		item := openObject(o.dst)
		item.uint("seq", e.Items[i].Seq)
		item.text("type", e.Items[i].Type)
		item.text("value", e.Items[i].Value)
		item.int("mono", e.Items[i].Mono)
		o.dst = item.close()
	}
	o.dst = append(o.dst, ']')
	return o.close()
}

// Ack answers Events: those up to AckSeq are stored, and the device may forget them.
type Ack struct {
	AckSeq uint64
}

// Parse reads the payload of the answer to Events.
func (a *Ack) Parse(payload []byte) error {
	*a = Ack{}
	r := reader{b: payload}
	there := false
	r.object(func(key []byte) bool {
		if string(key) != "ackSeq" {
			return false
		}
		a.AckSeq, there = r.uint(), true
		return true
	})
	r.require(there, "ackSeq")
	return r.end()
}

// Append writes the payload.
func (a *Ack) Append(dst []byte) []byte {
	o := openObject(dst)
	o.uint("ackSeq", a.AckSeq)
	return o.close()
}
