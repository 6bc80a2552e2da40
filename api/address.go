package api

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// maxForwarded bounds how many hops of X-Forwarded-For are looked at.
const maxForwarded = 16

// address is where a request came from, for the audit: the other end of the connection or, where that is one of the
// operator's proxies, whom the proxies say that they speak for.
func (s *server) address(r *http.Request) string {
	end, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	from := end.Addr().Unmap().WithZone("")
	if len(s.TrustedProxies) == 0 {
		return from.String()
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
	return from.String()
}

func (s *server) trusted(a netip.Addr) bool {
	return slices.ContainsFunc(s.TrustedProxies, func(p netip.Prefix) bool { return p.Contains(a) })
}
