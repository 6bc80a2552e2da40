package cluster

import (
	"net"
	"slices"
	"sync"
)

// maxStrangers is how many connections may not have shown a certificate yet. Each is a file of the process, which guests and devices
// need too.
const maxStrangers = 64

// strangers are the connections that have shown no certificate yet. One that comes when there are too many takes the place of the one
// that has waited longest: a node needs some milliseconds, so whoever says nothing goes, and keeps no node out.
type strangers struct {
	mu   sync.Mutex
	line []*stranger // guarded by mu; oldest first
}

type stranger struct{ conn net.Conn }

// enter gives what is called when the connection is a stranger's no more.
func (s *strangers) enter(conn net.Conn) (leave func()) {
	newcomer := &stranger{conn}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.line) >= maxStrangers {
		_ = s.line[0].conn.Close() // its handshake fails
		s.line = slices.Delete(s.line, 0, 1)
	}
	s.line = append(s.line, newcomer)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.line = slices.DeleteFunc(s.line, func(other *stranger) bool { return other == newcomer })
	}
}
