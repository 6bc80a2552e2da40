package transport

import (
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"sync"
	"syscall"

	"github.com/latchkey/latchkey/transport/wire"
)

// The opcodes of RFC 6455.
const (
	opContinuation = 0x0
	opText         = 0x1
	opBinary       = 0x2
	opClose        = 0x8
	opPing         = 0x9
	opPong         = 0xA
	opPart         = 0xFF // ours: a part of a message whose end has not come yet
)

const (
	finBit         = 0x80
	maskBit        = 0x80
	maxControlSize = 125

	// smallSize is what a session reads into as long as frames are small: a heartbeat and the answer to an open fit.
	smallSize = 192
	// keptSize bounds the buffers that go back into the pool.
	keptSize = 4 << 10
)

// errFrame is a frame that RFC 6455 or our limits forbid.
var errFrame = errors.New("bad frame")

type frameError string

func (e frameError) Error() string        { return "bad frame: " + string(e) }
func (e frameError) Is(target error) bool { return target == errFrame }

// buffer is a pooled slice of bytes.
type buffer struct{ b []byte }

var buffers = sync.Pool{New: func() any { return new(buffer) }}

// small is what most frames are read into.
type small [smallSize]byte

var smalls = sync.Pool{New: func() any { return new(small) }}

func getBuffer() *buffer { return buffers.Get().(*buffer) }

func putBuffer(b *buffer) {
	if cap(b.b) > keptSize {
		return
	}
	b.b = b.b[:0]
	buffers.Put(b)
}

// frameReader reads the WebSocket frames of a client. It is ours, and not gorilla's, because it holds nothing for an
// idle socket, where that is a connection object with a buffered reader, counts every frame (also the empty parts of a
// message that never ends), and leaves the close code to the session. The handshake is gorilla's.
type frameReader struct {
	conn       io.Reader
	big        *buffer // a message that does not fit into small, or its parts so far
	parts      bool    // big holds parts of a message that is not at its end
	start, end int     // what is read and not used of small
	failed     error   // instead of more bytes
	small      *small  // nil while nothing is said
}

// await waits until there is something to read, and reads it. Nothing of what was read before may be left.
func (r *frameReader) await(raw syscall.RawConn) {
	err := raw.Read(func(fd uintptr) (done bool) {
		r.hold()
		r.start = 0
		if r.end, done, r.failed = readNow(fd, r.small[:]); !done {
			r.letGo()
		}
		return done
	})
	if err != nil {
		r.failed = err
	}
}

// hold takes a buffer for what comes, letGo gives it back.
func (r *frameReader) hold() {
	if r.small == nil {
		r.small = smalls.Get().(*small)
	}
}

func (r *frameReader) letGo() {
	if r.small != nil {
		smalls.Put(r.small)
		r.small, r.start, r.end = nil, 0, 0
	}
}

// empty tells whether all that was read is used up, and then holds no buffer any more.
func (r *frameReader) empty() bool {
	if r.parts || r.start != r.end || r.failed != nil {
		return false
	}
	r.free()
	return true
}

// next reads one frame. The payload is good until the next call. Text and control frames come as their opcode; a text
// message in parts comes whole with its last part, and as opPart before that.
func (r *frameReader) next() (op byte, payload []byte, err error) {
	if r.big != nil && !r.parts {
		putBuffer(r.big)
		r.big = nil
	}
	h, err := r.header()
	if err != nil {
		return 0, nil, err
	}
	if h.op >= opClose {
		payload, err = r.take(h.size)
		unmask(payload, h.mask)
		return h.op, payload, err
	}
	if h.fin && !r.parts && h.size <= smallSize {
		payload, err = r.take(h.size)
		unmask(payload, h.mask)
		return opText, payload, err
	}
	if err = r.grow(h); err != nil {
		return 0, nil, err
	}
	r.parts = !h.fin
	if r.parts {
		return opPart, nil, nil
	}
	return opText, r.big.b, nil
}

type frameHeader struct {
	op   byte
	fin  bool
	size int
	mask [4]byte
}

// header reads the head of a frame and checks all that can be wrong with it, before any of the payload is read.
func (r *frameReader) header() (frameHeader, error) {
	var h frameHeader
	if err := r.fill(2); err != nil {
		return h, err
	}
	b0, b1 := r.small[r.start], r.small[r.start+1]
	h.op, h.fin = b0&0x0F, b0&finBit != 0
	if b0&0x70 != 0 {
		return h, frameError("reserved bits are set")
	}
	if b1&maskBit == 0 {
		return h, frameError("not masked")
	}
	size, extended := uint64(b1&^maskBit), 0
	switch size {
	case 126:
		extended = 2
	case 127:
		extended = 8
	}
	if err := r.fill(2 + extended + 4); err != nil {
		return h, err
	}
	head := r.small[r.start+2:]
	switch extended {
	case 2:
		size = uint64(binary.BigEndian.Uint16(head))
	case 8:
		size = binary.BigEndian.Uint64(head)
	}
	copy(h.mask[:], head[extended:])
	r.start += 2 + extended + 4
	return h, r.check(&h, size)
}

func (r *frameReader) check(h *frameHeader, size uint64) error {
	limit := uint64(wire.MaxFrame)
	switch h.op {
	case opText:
		if r.parts {
			return frameError("a message inside a message")
		}
	case opContinuation:
		if !r.parts {
			return frameError("a continuation of nothing")
		}
		limit -= uint64(len(r.big.b))
	case opBinary:
		return frameError("binary")
	case opClose, opPing, opPong:
		if !h.fin || size > maxControlSize {
			return frameError("control frame in parts or too large")
		}
	default:
		return frameError("unknown opcode")
	}
	if size > limit {
		return frameError("larger than 16 KiB")
	}
	h.size = int(size)
	return nil
}

// fill reads until n bytes, at most smallSize, are in small.
func (r *frameReader) fill(n int) error {
	if r.end-r.start >= n {
		return nil
	}
	if r.failed != nil {
		return r.failed
	}
	r.hold()
	if r.start+n > len(r.small) || r.start == r.end {
		r.end = copy(r.small[:], r.small[r.start:r.end])
		r.start = 0
	}
	m, err := io.ReadAtLeast(r.conn, r.small[r.end:], n-(r.end-r.start))
	r.end += m
	return err
}

// take gives the next n bytes, which fit into small.
func (r *frameReader) take(n int) ([]byte, error) {
	if err := r.fill(n); err != nil {
		return nil, err
	}
	p := r.small[r.start : r.start+n]
	r.start += n
	return p, nil
}

// grow reads the payload of a frame to the end of big.
func (r *frameReader) grow(h frameHeader) error {
	if r.big == nil {
		r.big = getBuffer()
	}
	old := len(r.big.b)
	r.big.b = slices.Grow(r.big.b, h.size)[:old+h.size]
	part := r.big.b[old:]
	n := copy(part, r.small[r.start:r.end])
	r.start += n
	if _, err := io.ReadFull(r.conn, part[n:]); err != nil {
		return err
	}
	unmask(part, h.mask)
	return nil
}

// free gives back what a broken read left.
func (r *frameReader) free() {
	r.letGo()
	if r.big != nil {
		putBuffer(r.big)
		r.big, r.parts = nil, false
	}
}

func unmask(p []byte, mask [4]byte) {
	for i := range p {
		p[i] ^= mask[i&3]
	}
}

// headRoom is kept free for the head of a frame until the size of its payload is known. No frame that we write is
// larger than 65,535 bytes.
const headRoom = 4

// appendHead makes room for the head of a frame, and gives its place for seal.
func appendHead(dst []byte) ([]byte, int) {
	return append(dst, make([]byte, headRoom)...), len(dst)
}

// seal puts the head before the payload that was written after appendHead.
func seal(dst []byte, at int, op byte) []byte {
	size := len(dst) - at - headRoom
	if size > maxControlSize {
		dst[at], dst[at+1] = finBit|op, 126
		binary.BigEndian.PutUint16(dst[at+2:], uint16(size))
		return dst
	}
	dst[at], dst[at+1] = finBit|op, byte(size)
	copy(dst[at+2:], dst[at+headRoom:])
	return dst[:len(dst)-2]
}

// appendFrame writes one frame with the payload, which a device gets unmasked.
func appendFrame(dst []byte, op byte, payload []byte) []byte {
	dst, at := appendHead(dst)
	return seal(append(dst, payload...), at, op)
}
