package transport

import (
	"hash/maphash"
	"net/http"
)

// Whoever makes credentials up costs a look-up for each, so an address has so many. What was good lately is no guess: a neighbour of
// many locks, behind the same NAT, must not be able to keep them out.

// maxKnown credentials are remembered as good.
const maxKnown = 1 << 16

// Strangers bounds how many wrong credentials come from one address.
type Strangers interface {
	// MayTry tells whether the credentials of a request are looked at.
	MayTry(r *http.Request) bool
	// Wrong counts those that were not good.
	Wrong(r *http.Request)
	// Address is where a request came from, past the proxies that the operator trusts.
	Address(r *http.Request) string
}

// proofHash stands for a proof. Nobody knows the seed, so nobody can make up one that looks like another's.
type proofHash uint64

var proofSeed = maphash.MakeSeed()

func hashOf(p *proof) proofHash { return proofHash(maphash.Comparable(proofSeed, *p)) }

// mayTry tells whether a device's proof is looked at. The TLS layer has verified a certificate: nobody can guess one.
func (h *Hub) mayTry(r *http.Request, p *proof) bool {
	return h.Strangers == nil || p.certified || h.known.Contains(hashOf(p)) || h.Strangers.MayTry(r)
}

func (h *Hub) wasGood(p *proof) {
	if h.Strangers != nil && !p.certified {
		h.known.Add(hashOf(p), struct{}{})
	}
}

func (h *Hub) wasWrong(r *http.Request, p *proof) {
	if h.Strangers != nil && !p.certified {
		h.known.Remove(hashOf(p))
		h.Strangers.Wrong(r)
	}
}
