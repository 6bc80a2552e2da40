package wire

// skip passes over one JSON value of any kind.
func (r *reader) skip(depth int) {
	if depth > MaxDepth {
		r.fail("nested too deeply")
		return
	}
	switch c := r.peek(); {
	case c == '"':
		r.span()
	case c == '{':
		r.skipList('}', func() {
			r.span()
			r.expect(':')
			r.skip(depth + 1)
		})
	case c == '[':
		r.skipList(']', func() { r.skip(depth + 1) })
	case c == 't':
		r.literal("true")
	case c == 'f':
		r.literal("false")
	case c == 'n':
		r.literal("null")
	default:
		r.skipNumber()
	}
}

func (r *reader) skipList(end byte, item func()) {
	r.i++
	if r.peek() == end {
		r.i++
		return
	}
	for r.err == nil {
		item()
		if r.peek() != ',' {
			r.expect(end)
			return
		}
		r.i++
	}
}

func (r *reader) literal(word string) {
	if len(r.b)-r.i < len(word) || string(r.b[r.i:r.i+len(word)]) != word {
		r.fail("expected a value")
		return
	}
	r.i += len(word)
}

func (r *reader) skipNumber() {
	if r.at('-') {
		r.i++
	}
	if r.at('0') {
		r.i++
	} else {
		r.digits()
	}
	if r.at('.') {
		r.i++
		r.digits()
	}
	if r.at('e') || r.at('E') {
		r.i++
		if r.at('+') || r.at('-') {
			r.i++
		}
		r.digits()
	}
}

func (r *reader) at(c byte) bool { return r.i < len(r.b) && r.b[r.i] == c }

func (r *reader) digits() {
	start := r.i
	for r.i < len(r.b) && '0' <= r.b[r.i] && r.b[r.i] <= '9' {
		r.i++
	}
	if r.i == start {
		r.fail("expected a value")
	}
}
