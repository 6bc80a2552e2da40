package postgres

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey/latchkey/internal/planted"
)

const (
	connectTimeout = 5 * time.Second
	// The server gives a statement of the writer up after writeTimeout. An answer that has not come a while after that
	// never will. Who reads may ask for a lot, over a slow network.
	writeTimeout  = 3 * time.Second
	answerTimeout = writeTimeout + 2*time.Second
	readTimeout   = 30 * time.Second
	// deadPeer is after what time of silence either side gives a connection up.
	deadPeer = 10 * time.Second
	// Between attempts to reach the server it waits up to firstDelay, then twice that, and so on up to maxDelay.
	firstDelay = 50 * time.Millisecond
	maxDelay   = time.Second
)

// errNotPrimary is a server that only reads: a standby, or a primary that was demoted.
var errNotPrimary = errors.New("this PostgreSQL is not the primary, it takes no writes")

// parse reads the URL. Errors do not quote it, because of the password.
func parse(o Options) (*pgxpool.Config, error) {
	if !strings.HasPrefix(o.URL, "postgres://") && !strings.HasPrefix(o.URL, "postgresql://") {
		return nil, errors.New("postgres journal: the URL does not start with postgres://")
	}
	config, err := pgxpool.ParseConfig(o.URL)
	if err != nil {
		return nil, errors.New("postgres journal: the URL is malformed or names a file that cannot be read; " +
			"special characters in a password must be percent-encoded")
	}
	switch {
	case o.ReadConnections > 0:
		config.MaxConns = int32(min(o.ReadConnections, 1<<16))
	case !strings.Contains(o.URL, "pool_max_conns"):
		config.MaxConns = defaultReadConnections
	}
	c := config.ConnConfig
	c.ConnectTimeout = connectTimeout
	c.ValidateConnect = onlyPrimary
	c.DialFunc = (&net.Dialer{Timeout: connectTimeout, KeepAliveConfig: net.KeepAliveConfig{
		Enable: true, Idle: deadPeer / 2, Interval: deadPeer / 5, Count: 3,
	}}).DialContext
	c.OnNotice, c.RuntimeParams["client_min_messages"] = keepWarning, "warning"
	// A statement that has waited for the positions has to see what was committed meanwhile, whatever the database or the URL says.
	c.RuntimeParams["default_transaction_isolation"] = "read committed"
	for name, value := range map[string]string{
		"application_name":    "latchkey",
		"statement_timeout":   milliseconds(readTimeout),
		"tcp_user_timeout":    milliseconds(deadPeer),
		"tcp_keepalives_idle": strconv.Itoa(int(deadPeer.Seconds() / 2)),
		"jit":                 "off", // no statement here is worth a compiler
	} {
		if _, set := c.RuntimeParams[name]; !set {
			c.RuntimeParams[name] = value
		}
	}
	return config, nil
}

// inTheClear are the hosts beyond this machine that may be spoken to without TLS, which without sslmode= in the URL are those
// that do not offer it, or seem not to.
func inTheClear(c *pgx.ConnConfig) (hosts []string) {
	ways := []*pgconn.FallbackConfig{{Host: c.Host, Port: c.Port, TLSConfig: c.TLSConfig}}
	for _, way := range append(ways, c.Fallbacks...) {
		network, _ := pgconn.NetworkAddress(way.Host, way.Port)
		ip := net.ParseIP(way.Host)
		here := network == "unix" || way.Host == "localhost" || ip != nil && ip.IsLoopback()
		if way.TLSConfig == nil && !here && !slices.Contains(hosts, way.Host) {
			hosts = append(hosts, way.Host)
		}
	}
	return hosts
}

// writing is the configuration of the connection that writes. Its statement goes through an array in the order of the
// streams' names and looks each up in the index, so that two nodes lock the same rows in the same order; no other plan
// is worth considering, and one plan is enough.
func writing(c *pgx.ConnConfig) *pgx.ConnConfig {
	c = c.Copy()
	maps.Copy(c.RuntimeParams, map[string]string{
		"statement_timeout": milliseconds(writeTimeout),
		"plan_cache_mode":   "force_generic_plan",
		"enable_seqscan":    "off",
		"enable_bitmapscan": "off",
		"enable_hashjoin":   "off",
		"enable_mergejoin":  "off",
	})
	if planted.Has(planted.AcknowledgeBeforeFsync) {
		c.RuntimeParams["synchronous_commit"] = "off"
	}
	return c
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// onlyPrimary refuses servers that do not write.
func onlyPrimary(ctx context.Context, conn *pgconn.PgConn) error {
	if err := pgconn.ValidateConnectTargetSessionAttrsReadWrite(ctx, conn); err != nil {
		return fmt.Errorf("%w: %w", errNotPrimary, err)
	}
	return nil
}

// backoff is how long to wait before the attempt to come; the second one does not wait long.
type backoff struct{ limit time.Duration }

func (b *backoff) next() time.Duration {
	b.limit = min(max(2*b.limit, firstDelay), maxDelay)
	return rand.N(b.limit)
}
