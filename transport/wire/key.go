package wire

// Key tells the device to change its table of permanent keys, unless the deadline has passed by the device's own clock.
// It is the payload of AddKey, RemoveKey and WriteKey, and its first members are those of an Open.
type Key struct {
	CommandID    string
	Session      string
	Epoch        uint64
	BootID       string
	NotAfterMono int64 // the last millisecond since the device's boot at which the table may change
	KeyUUID      string
	KeyIndex     *int64 // the number of the key's place; nil: it has none
}

// Parse reads the payload.
func (p *Key) Parse(payload []byte) error {
	*p = Key{}
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
		case "keyUuid":
			p.KeyUUID = r.text(MaxKeyUUID)
		case "keyIndex":
			n := r.int()
			p.KeyIndex = &n
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
	r.require(p.KeyUUID != "", "keyUuid")
	return r.end()
}

// Append writes the payload.
func (p *Key) Append(dst []byte) []byte {
	o := openObject(dst)
	o.text("commandId", p.CommandID)
	o.text("session", p.Session)
	o.uint("epoch", p.Epoch)
	o.text("bootId", p.BootID)
	o.int("notAfterMono", p.NotAfterMono)
	o.text("keyUuid", p.KeyUUID)
	if p.KeyIndex != nil {
		o.int("keyIndex", *p.KeyIndex)
	}
	return o.close()
}

// KeyResult is the device's word that its table is as the command wants it. One that it does not obey it refuses with an
// error frame.
type KeyResult struct {
	CommandID string
}

// Parse reads the payload of the answer.
func (p *KeyResult) Parse(payload []byte) error {
	*p = KeyResult{}
	r := reader{b: payload}
	done := false
	r.object(func(key []byte) bool {
		switch string(key) {
		case "commandId":
			p.CommandID = r.name()
		case "outcome":
			if inner, _ := r.span(); string(inner) != OutcomeDone {
				r.fail("outcome is not \"done\"; refuse with an error frame")
			}
			done = true
		default:
			return false
		}
		return true
	})
	r.require(p.CommandID != "", "commandId")
	r.require(done, "outcome")
	return r.end()
}

// Append writes the payload.
func (p *KeyResult) Append(dst []byte) []byte {
	o := openObject(dst)
	o.text("commandId", p.CommandID)
	o.text("outcome", OutcomeDone)
	return o.close()
}
