package transport

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/transport/wire"
)

// masked gives the frame of a client.
func masked(head byte, payload []byte) []byte {
	f := appendFrame(nil, 0, payload)
	f[0], f[1] = head, f[1]|maskBit
	at := len(f) - len(payload)
	mask := [4]byte{1, 2, 3, 4}
	p := bytes.Clone(payload)
	unmask(p, mask)
	return append(append(f[:at:at], mask[:]...), p...)
}

func TestFramesOfEverySizeInPiecesOfEverySize(t *testing.T) {
	t.Parallel()
	var stream []byte
	var want [][]byte
	for _, n := range []int{0, 1, 125, 126, 186, 191, 192, 193, 400, 0, 5, wire.MaxFrame, 3} {
		p := bytes.Repeat([]byte{byte('a' + n%26)}, n)
		stream = append(stream, masked(finBit|opText, p)...)
		want = append(want, p)
	}
	for _, conn := range []io.Reader{
		bytes.NewReader(stream), iotest.OneByteReader(bytes.NewReader(stream)), iotest.HalfReader(bytes.NewReader(stream)),
	} {
		r := frameReader{conn: conn}
		for _, p := range want {
			op, payload, err := r.next()
			require.NoError(t, err)
			require.EqualValues(t, opText, op)
			require.True(t, bytes.Equal(p, payload))
		}
		_, _, err := r.next()
		require.ErrorIs(t, err, io.EOF)
		require.Nil(t, r.big)
	}
}

func TestFramesThatTheServerWrites(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 125, 126, 127, 65535} {
		f := appendFrame([]byte("before"), opText, make([]byte, n))[len("before"):]
		require.Equal(t, byte(finBit|opText), f[0])
		if n <= 125 {
			require.Equal(t, byte(n), f[1])
			require.Len(t, f, 2+n)
		} else {
			require.Equal(t, []byte{126, byte(n >> 8), byte(n)}, f[1:4])
			require.Len(t, f, 4+n)
		}
	}
}

// Whatever bytes come, the reader gives frames within the limits or an error, and ends.
func FuzzFrameReader(f *testing.F) {
	f.Add(masked(finBit|opText, []byte(`[2,"b9","Heartbeat",{"mono":865000}]`)))
	f.Add(append(masked(opText, []byte(`[2,"b9",`)), append(masked(finBit|opPing, []byte("x")), masked(finBit|opContinuation, []byte(`"Heartbeat",{"mono":1}]`))...)...))
	f.Add(masked(finBit|opText, make([]byte, 300)))
	f.Add(masked(finBit|opClose, []byte{3, 232}))
	f.Add([]byte{0x81, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, stream []byte) {
		whole, bytewise := readAll(t, bytes.NewReader(stream)), readAll(t, iotest.OneByteReader(bytes.NewReader(stream)))
		require.Equal(t, whole, bytewise)
	})
}

// readAll gives everything that a stream holds, and how it ended.
func readAll(t *testing.T, conn io.Reader) (out []string) {
	r := frameReader{conn: conn}
	defer r.free()
	for {
		op, payload, err := r.next()
		if err != nil {
			if errors.Is(err, errFrame) {
				require.True(t, utf8.ValidString(err.Error()))
				return append(out, err.Error())
			}
			require.True(t, errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF), "%v", err)
			return append(out, "end")
		}
		require.LessOrEqual(t, len(payload), wire.MaxFrame)
		out = append(out, string(append([]byte{op}, payload...)))
	}
}
