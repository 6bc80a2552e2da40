package cluster

// A ring is a queue that grows by doubling and gives its buffer back when it is empty and has grown.
type ring struct {
	buf  []any
	head int
	n    int
}

// ringStart slots are enough for a grain under ordinary load, and are kept by one that has been used.
const ringStart = 4

func (r *ring) push(msg any) {
	if r.n == len(r.buf) {
		grown := make([]any, max(ringStart, 2*len(r.buf)))
		for i := range r.n {
			grown[i] = r.buf[(r.head+i)%len(r.buf)]
		}
		r.buf, r.head = grown, 0
	}
	r.buf[(r.head+r.n)%len(r.buf)] = msg
	r.n++
}

// pop wants the ring not to be empty.
func (r *ring) pop() any {
	msg := r.buf[r.head]
	r.buf[r.head] = nil
	r.head = (r.head + 1) % len(r.buf)
	r.n--
	return msg
}

func (r *ring) release() {
	if r.n == 0 && len(r.buf) > ringStart {
		r.buf, r.head = nil, 0
	}
}
