// Package tenant keeps the organisations and their API keys: one stream of the journal for each organisation.
//
// A key is shown once and stored as its SHA-256 only, which is enough: a secret of 256 random bits cannot be
// guessed from its hash. The hash is claimed for the organisation's stream, so that one look-up says whose key it is; what
// it is worth, the records of that stream say. They are remembered for less than a second, which is how soon every member
// of a cluster hears that a key was revoked. When the journal cannot be asked no key is good any longer than that.
package tenant

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/singleflight"

	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/lock"
)

// StreamPrefix starts the names of the organisations' streams.
const StreamPrefix = "org/"

const (
	claimKind   = "api-key"
	maxOrgID    = 800 // bytes, as for the organisation of a lock
	maxName     = 800
	maxActive   = 1000 // keys of one organisation that are worth something
	maxAttempts = 5    // at an append that others were faster with
	pageSize    = 512  // records read at a time

	// MaxGrace is the longest that a key may stay good beside its successor.
	MaxGrace = 30 * 24 * time.Hour

	// DefaultCacheSize is how many keys, and how many organisations, are kept in memory.
	DefaultCacheSize = 4096

	// What is known of an organisation is good for freshFor, and for staleFor while the journal does not answer. Both are
	// counted from before the journal was asked, so that a revocation holds everywhere a second after it was acknowledged.
	freshFor = 500 * time.Millisecond
	staleFor = 900 * time.Millisecond
	// readTimeout bounds one look into the journal. Others wait for its result too, so it does not end with its first caller.
	readTimeout = 5 * time.Second
)

// Options are what Keys are made of. Fields with a default may be left empty.
type Options struct {
	Journal    journal.Journal
	CacheSize  int
	Now        func() time.Time      // default: time.Now
	Registerer prometheus.Registerer // default: the metrics are not shown
}

func (o *Options) validate() error {
	if o.CacheSize == 0 {
		o.CacheSize = DefaultCacheSize
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	switch {
	case o.Journal == nil:
		return errors.New("tenant: Journal is required")
	case o.CacheSize < 0:
		return errors.New("tenant: CacheSize must not be negative")
	}
	return nil
}

// Keys makes API keys and tells whose they are. It may be used from any goroutine.
type Keys struct {
	journal journal.Journal
	now     func() time.Time
	claims  *lru.Cache[[sha256.Size]byte, claim]
	views   *lru.Cache[string, view] // by stream
	flights singleflight.Group       // looks into the journal, by stream
	metrics *metrics
}

// claim says whose a key is, which never changes. Who saw it at an instant must know the organisation as of then or later.
type claim struct {
	stream string
	at     time.Time
}

// view is an organisation as the journal had it at an instant or later.
type view struct {
	organization *organization
	at           time.Time
}

// New makes Keys on a journal.
func New(o Options) (*Keys, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	claims, err := lru.New[[sha256.Size]byte, claim](o.CacheSize)
	if err != nil {
		return nil, fmt.Errorf("tenant: %w", err)
	}
	views, err := lru.New[string, view](o.CacheSize)
	if err != nil {
		return nil, fmt.Errorf("tenant: %w", err)
	}
	m, err := newMetrics(o.Registerer)
	if err != nil {
		return nil, err
	}
	return &Keys{journal: o.Journal, now: o.Now, claims: claims, views: views, metrics: m}, nil
}

// What may go wrong beside rejections, which are of type *lock.Error. The journal's own error is wrapped as well.
var (
	ErrUnavailable = errors.New("tenant: the journal does not answer")        // nothing happened
	ErrUnknown     = errors.New("tenant: the journal did not answer in time") // it may have happened
)

func streamOf(org lock.OrgID) string { return StreamPrefix + string(org) }

// checkOrg tells what is wrong with the name of an organisation that may be there. Names that turn the direction of text were good once, so
// their keys can still be listed, rotated and revoked.
func checkOrg(org lock.OrgID) error {
	if org == "" || !stored(string(org), maxOrgID) {
		return badOrg()
	}
	return nil
}

// checkNew tells what is wrong with the name of an organisation that something new is made for.
func checkNew(org lock.OrgID) error {
	if org == "" || !text(string(org), maxOrgID) {
		return badOrg()
	}
	return nil
}

func badOrg() *lock.Error {
	return &lock.Error{Kind: lock.Invalid, Reason: "org-id-invalid", Field: "orgId", Message: "orgId must name an organisation, in up to 800 bytes, without control characters and those that turn the direction of text"}
}

func checkName(name string) error {
	if !text(name, maxName) {
		return &lock.Error{Kind: lock.Invalid, Reason: "name-invalid", Field: "name", Message: "name may have up to 800 bytes, without control characters and those that turn the direction of text"}
	}
	return nil
}

func text(s string, most int) bool {
	return stored(s, most) && !lock.HasUnseen(s)
}

// stored is text as it may be in the journal.
func stored(s string, most int) bool {
	return len(s) <= most && utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}
