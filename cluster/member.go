package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	pcluster "github.com/asynkron/protoactor-go/cluster"
)

// Member is a node of the cluster as the others see it.
type Member struct {
	ID    string   `json:"id"`
	Addr  string   `json:"addr"`
	Kinds []string `json:"kinds"`
	Store string   `json:"store,omitempty"` // see Options
	Home  string   `json:"home,omitempty"`  // see Options
	Self  bool     `json:"-"`
}

func sameMember(a, b Member) bool { return a.ID == b.ID }

func decodeMember(value []byte) (Member, error) {
	var member Member
	if err := json.Unmarshal(value, &member); err != nil {
		return Member{}, err
	}
	if member.ID == "" {
		return Member{}, errors.New("no ID")
	}
	if _, _, err := splitHostPort(member.Addr); err != nil {
		return Member{}, err
	}
	return member, nil
}

// toProto gives protoactor's form of the members.
func toProto(members []Member) pcluster.Members {
	out := make(pcluster.Members, 0, len(members))
	for _, m := range members {
		host, port, err := splitHostPort(m.Addr)
		if err != nil {
			continue // decodeMember has refused it
		}
		out = append(out, &pcluster.Member{Id: m.ID, Host: host, Port: port, Kinds: m.Kinds})
	}
	return out
}

// splitHostPort keeps the brackets of an IPv6 address, since protoactor puts host and port together with a colon.
func splitHostPort(addr string) (host string, port int32, err error) {
	host, digits, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, err
	}
	n, err := strconv.ParseUint(digits, 10, 16)
	if err != nil {
		return "", 0, fmt.Errorf("port of %q: %w", addr, err)
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return host, int32(n), nil
}
