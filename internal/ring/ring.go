// Package ring is a queue in memory that does not grow beyond what waits in it at a time.
package ring

// start slots are enough for a grain under ordinary load.
const start = 4

// Ring is a queue that grows by doubling. The zero value is empty. It is not safe for use by several goroutines at the same time.
type Ring[T any] struct {
	buf  []T
	head int
	n    int
}

// Len is how many wait.
func (r *Ring[T]) Len() int { return r.n }

// Push puts v behind all that waits.
func (r *Ring[T]) Push(v T) {
	if r.n == len(r.buf) {
		grown := make([]T, max(start, 2*len(r.buf)))
		for i := range r.n {
			grown[i] = r.buf[(r.head+i)%len(r.buf)]
		}
		r.buf, r.head = grown, 0
	}
	r.buf[(r.head+r.n)%len(r.buf)] = v
	r.n++
}

// Pop takes the first one out. The ring must not be empty.
func (r *Ring[T]) Pop() T {
	var none T
	v := r.buf[r.head]
	r.buf[r.head] = none
	r.head = (r.head + 1) % len(r.buf)
	r.n--
	return v
}

// Release gives the buffer back if the ring is empty, and has grown beyond keep slots, or the few that it begins with.
func (r *Ring[T]) Release(keep int) {
	if r.n == 0 && len(r.buf) > max(start, keep) {
		r.buf, r.head = nil, 0
	}
}
