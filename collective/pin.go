package collective

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/big"

	"github.com/latchkey/latchkey/lock"
)

const (
	pinDigits = 6
	// PINKeyBytes is the length of the key that guards the PINs.
	PINKeyBytes = 32
)

// PINs mints the codes of doors, and keeps them from whoever has a copy of the journal: a lock knows the hash of a code
// under a key that the journal does not have, and a collective key holds its code encrypted. A code of six digits has no
// other protection, so a journal and its key must not be kept together.
type PINs struct {
	hash        []byte
	seal        cipher.AEAD
	fingerprint []byte // tells keys apart, and gives none away
}

const fingerprintBytes = 16

// NewPINs makes PINs from a secret of PINKeyBytes, which every member of a cluster must have.
func NewPINs(secret []byte) (*PINs, error) {
	if len(secret) != PINKeyBytes {
		return nil, fmt.Errorf("collective: the key of the PINs has %d bytes and needs %d", len(secret), PINKeyBytes)
	}
	hash, err := hkdf.Key(sha256.New, secret, nil, "latchkey pin hash", sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("collective: %w", err)
	}
	key, err := hkdf.Key(sha256.New, secret, nil, "latchkey pin seal", PINKeyBytes)
	if err != nil {
		return nil, fmt.Errorf("collective: %w", err)
	}
	fingerprint, err := hkdf.Key(sha256.New, secret, nil, "latchkey pin fingerprint", fingerprintBytes)
	if err != nil {
		return nil, fmt.Errorf("collective: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("collective: %w", err)
	}
	p := &PINs{hash: hash, fingerprint: fingerprint}
	if p.seal, err = cipher.NewGCMWithRandomNonce(block); err != nil {
		return nil, fmt.Errorf("collective: %w", err)
	}
	return p, nil
}

// Hash is what a lock compares: equal codes of two locks have different hashes.
func (p *PINs) Hash(id lock.ID, pin string) []byte {
	h := hmac.New(sha256.New, p.hash)
	fmt.Fprintf(h, "%s/%s", id, pin)
	return h.Sum(nil)
}

// mint makes a code.
func (p *PINs) mint() (string, error) {
	most := new(big.Int).Exp(big.NewInt(10), big.NewInt(pinDigits), nil)
	n, err := rand.Int(rand.Reader, most)
	if err != nil {
		return "", fmt.Errorf("collective: %w", err)
	}
	return fmt.Sprintf("%0*d", pinDigits, n), nil
}

// sealed encrypts the code of a key, opened decrypts it. A sealed code is of no use for another key.
func (p *PINs) sealed(key lock.TempKeyID, pin string) []byte {
	return p.seal.Seal(nil, nil, []byte(pin), []byte(key))
}

func (p *PINs) opened(key lock.TempKeyID, sealed []byte) (string, error) {
	pin, err := p.seal.Open(nil, nil, sealed, []byte(key))
	if err != nil {
		return "", errors.New("collective: a PIN was encrypted under another key than this server has")
	}
	return string(pin), nil
}
