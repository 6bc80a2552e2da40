package api

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// maxForwarded bounds how many hops of X-Forwarded-For are looked at.
const maxForwarded = 16

// address is where a request came from, for the audit.
func (s *server) address(r *http.Request) string {
	if from := s.origin(r); from.IsValid() {
		return from.String()
	}
	return ""
}

// origin is the other end of the connection or, where that is one of the operator's proxies, whom the proxies say that they
// speak for. It is the zero address when there is no such end.
func (s *server) origin(r *http.Request) netip.Addr {
	end, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	from := end.Addr().Unmap().WithZone("")
	if len(s.TrustedProxies) == 0 {
		return from
	}
	hops := strings.Split(strings.Join(r.Header["X-Forwarded-For"], ","), ",")
	for range maxForwarded {
		// Only a trusted proxy's word counts, so the last hop that is no such proxy is as far as it goes.
		if len(hops) == 0 || !s.trusted(from) {
			break
		}
		hop, err := netip.ParseAddr(strings.TrimSpace(hops[len(hops)-1]))
		if err != nil {
			break
		}
		from, hops = hop.Unmap().WithZone(""), hops[:len(hops)-1]
	}
	return from
}

func (s *server) trusted(a netip.Addr) bool {
	return slices.ContainsFunc(s.TrustedProxies, func(p netip.Prefix) bool { return p.Contains(a) })
}
