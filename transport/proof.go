package transport

import (
	"context"
	"crypto/sha256"
	"strings"

	"github.com/latchkey/latchkey/lock"
	"github.com/latchkey/latchkey/transport/wire"
)

// proof is what a device came with: the hash of a secret, or a certificate. A session keeps it, because a secret that was good
// at the handshake may be withdrawn later, and whoever stole it must not stay for as long as the socket does.
type proof struct {
	device    lock.UUID
	hash      [sha256.Size]byte
	certified bool
}

func proofBy(device lock.UUID, secret string) proof {
	return proof{device: lock.UUID(strings.Clone(string(device))), hash: sha256.Sum256([]byte(secret))} // not the whole request
}

// check asks the lock whether the proof is good now.
func (h *Hub) check(ctx context.Context, id lock.ID, p *proof) error {
	// A certificate proves who the device is, and not that it still is the lock's: that may have got another one.
	_, err := h.Grains.Do(ctx, id, &lock.AuthenticateDevice{UUID: p.device, Hash: p.hash[:], Certified: p.certified})
	return err
}

// errWithdrawn ends a session whose proof is not good any more.
var errWithdrawn = &closed{wire.CloseCredentials, "the device may not connect any more"}

// remind ends the session if its proof is not good any more, and tells the grain of it otherwise: in this order, or a grain that has ended
// the session for that would take it back. A lock that cannot be asked is asked again at the next time.
func (s *session) remind() {
	ctx, cancel := context.WithTimeout(context.Background(), s.hub.RequestTimeout)
	defer cancel()
	if unauthentic(s.hub.check(ctx, s.lock, &s.proof)) {
		s.close(errWithdrawn.code, errWithdrawn.reason, false)
		return
	}
	s.keep()
}
