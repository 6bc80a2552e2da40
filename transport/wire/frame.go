package wire

// Kind is the first number of a frame.
type Kind uint8

// The kinds of frames.
const (
	Call   Kind = 2
	Result Kind = 3
	Error  Kind = 4
)

// Frame is one parsed frame. ID, Action, Code, Payload and Details alias the bytes that were parsed.
type Frame struct {
	Kind        Kind
	ID          []byte
	Action      []byte // of a call
	Payload     []byte // of a call or a result: a JSON object
	Code        []byte // of an error
	Description string // of an error
	Details     []byte // of an error: a JSON object
}

// Payload is what a call or a result carries.
type Payload interface {
	// Append writes the payload as a JSON object at the end of dst.
	Append(dst []byte) []byte
}

// ParseFrame reads one frame. The payload is known to be a well-formed JSON object, and nothing more.
func ParseFrame(b []byte) (Frame, error) {
	r := reader{b: b}
	if len(b) > MaxFrame {
		r.fail("frame too large")
	} else if !valid(b) {
		r.fail("not UTF-8")
	}
	var f Frame
	r.expect('[')
	f.Kind = Kind(min(r.uint(), 255))
	r.expect(',')
	f.ID = r.token(MaxFrameID)
	r.expect(',')
	switch f.Kind {
	case Call:
		f.Action = r.token(MaxName)
		r.expect(',')
		f.Payload = r.rawObject()
	case Result:
		f.Payload = r.rawObject()
	case Error:
		f.Code = r.token(MaxName)
		r.expect(',')
		f.Description = r.text(MaxText)
		r.expect(',')
		f.Details = r.rawObject()
	default:
		r.fail("the first item must be 2, 3 or 4")
	}
	r.expect(']')
	if err := r.end(); err != nil {
		return Frame{}, err
	}
	return f, nil
}

func (r *reader) rawObject() []byte {
	if r.peek() != '{' {
		r.fail("expected an object")
		return nil
	}
	return r.raw()
}

// AppendCall writes a call at the end of dst.
func AppendCall(dst []byte, id, action string, p Payload) []byte {
	dst = appendHead(dst, Call, id)
	dst = append(appendString(dst, action), ',')
	return append(p.Append(dst), ']')
}

// AppendResult writes the answer to the call id at the end of dst.
func AppendResult(dst []byte, id string, p Payload) []byte {
	return append(p.Append(appendHead(dst, Result, id)), ']')
}

// AppendError writes the refusal of the call id at the end of dst.
func AppendError(dst []byte, id, code, description string, details Payload) []byte {
	dst = appendHead(dst, Error, id)
	dst = append(appendString(dst, code), ',')
	dst = append(appendString(dst, description), ',')
	return append(details.Append(dst), ']')
}

func appendHead(dst []byte, k Kind, id string) []byte {
	dst = append(dst, '[', '0'+byte(k), ',')
	return append(appendString(dst, id), ',')
}

// Empty is the payload {}.
type Empty struct{}

// Append writes {}.
func (Empty) Append(dst []byte) []byte { return append(dst, '{', '}') }
