package tenant

import (
	"crypto/rand"
	"hash/crc32"
	"math/big"
	"strings"
)

// A key is "lk_", 43 characters of secret and 6 of checksum, in base 62: people can select it with a double
// click, scanners can find it in a public repository, and a cut one is noticed without asking the journal.
const (
	prefix         = "lk_"
	secretBytes    = 32
	secretLength   = 43 // 62^43 > 2^256
	checksumLength = 6  // 62^6 > 2^32
	keyLength      = len(prefix) + secretLength + checksumLength
	hintLength     = len(prefix) + 6

	digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

func newKey() string {
	secret := make([]byte, secretBytes)
	_, _ = rand.Read(secret) // it never fails: the process ends instead
	body := prefix + base62(secret, secretLength)
	return body + checksum(body)
}

// ours tells whether a key was once one of ours, before somebody cut or mistyped it.
func ours(key string) bool { return strings.HasPrefix(key, prefix) }

// HintOf is the beginning of a key of ours, as its list has it. It is empty for what is none, or is so short that it would be much of it.
func HintOf(key string) string {
	if !ours(key) || len(key) < keyLength/2 {
		return ""
	}
	return key[:hintLength]
}

// wellFormed tells whether a key has the form and the checksum of ours.
func wellFormed(key string) bool {
	if len(key) != keyLength || !strings.HasPrefix(key, prefix) {
		return false
	}
	body := key[:keyLength-checksumLength]
	return key[keyLength-checksumLength:] == checksum(body)
}

func checksum(body string) string {
	var out [checksumLength]byte
	n := crc32.ChecksumIEEE([]byte(body))
	for i := len(out) - 1; i >= 0; i-- {
		out[i] = digits[n%uint32(len(digits))]
		n /= uint32(len(digits))
	}
	return string(out[:])
}

// base62 writes a big-endian number with exactly n digits.
func base62(data []byte, n int) string {
	number, base, digit := new(big.Int).SetBytes(data), big.NewInt(int64(len(digits))), new(big.Int)
	out := make([]byte, n)
	for i := n - 1; i >= 0; i-- {
		number.DivMod(number, base, digit)
		out[i] = digits[digit.Int64()]
	}
	return string(out)
}
