package main

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// watch prints each change of what the servers know of each other, and how many locks are connected to each.
func watch(ctx context.Context, nodes []*node) {
	before := ""
	for tick := time.NewTicker(pollEvery); ; {
		var seen []string
		for _, n := range nodes {
			members, sessions := n.metrics(ctx)
			switch {
			case n.pid.Load() == 0:
				seen = append(seen, n.name+" is down")
			case members == "":
				seen = append(seen, n.name+" starts")
			default:
				seen = append(seen, fmt.Sprintf("%s sees %s members, %s locks are connected to it", n.name, members, sessions))
			}
		}
		if is := strings.Join(seen, " · "); is != before {
			before = is
			fmt.Printf("%s  %s\n", now(), is)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			tick.Stop()
			return
		}
	}
}

// metrics reads the number of members that a server knows, and of locks that are connected to it; empty when it does not answer.
func (n *node) metrics(ctx context.Context) (members, sessions string) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.ops+"/metrics", nil)
	if err != nil {
		return "", ""
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", ""
	}
	defer response.Body.Close()
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), " ")
		switch name {
		case "latchkey_cluster_members":
			members = value
		case "latchkey_transport_sessions":
			sessions = value
		}
	}
	return members, sessions
}
