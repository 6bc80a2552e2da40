package wire

// Heartbeat tells that the device is there, and what its clock says. It is answered with Empty.
type Heartbeat struct {
	Mono int64 // ms since the boot, sleep included
}

// Parse reads the payload of a Heartbeat.
func (h *Heartbeat) Parse(payload []byte) error {
	*h = Heartbeat{}
	r := reader{b: payload}
	mono := false
	r.object(func(key []byte) bool {
		if string(key) != "mono" {
			return false
		}
		h.Mono, mono = r.int(), true
		return true
	})
	r.require(mono, "mono")
	return r.end()
}

// Append writes the payload.
func (h *Heartbeat) Append(dst []byte) []byte {
	o := openObject(dst)
	o.int("mono", h.Mono)
	return o.close()
}
