package api

import (
	"errors"
	"fmt"
	"hash/maphash"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/go-chi/chi/v5"
	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"

	"github.com/latchkey/latchkey/lock"
)

// maxBuckets of each sort are remembered. The one that was forgotten begins full again.
const maxBuckets = 1 << 16

// Rate is how many requests a second somebody may make for long, and how many at once after a pause.
type Rate struct {
	PerSecond float64 // 0: as many as one likes
	Burst     int
}

// Rates bound what one caller, and one lock or key, may take of a server, so that the others do not notice. Each server
// of a cluster counts for itself. The super key is not counted.
type Rates struct {
	Caller  Rate // an API key, or a user
	Address Rate // of callers without credentials; of IPv6 the network of 64 bits
	Target  Rate // a lock or a guest's key: of each organisation and user, and of all who show no credentials together
}

func (r *Rates) validate() error {
	for _, limit := range []Rate{r.Caller, r.Address, r.Target} {
		if limit.PerSecond < 0 || math.IsNaN(limit.PerSecond) || limit.Burst < 0 || limit.PerSecond > 0 && limit.Burst < 1 {
			return errors.New("api: a rate must not be negative, and its burst must be 1 or more")
		}
	}
	return nil
}

// buckets are the token buckets of one sort.
type buckets struct {
	Rate
	name   string // in the headers
	byHash *lru.Cache[bucketHash, *rate.Limiter]
}

// bucketHash stands for whom or what a bucket is of, so that no part of a request stays in memory with its bucket. Nobody
// knows the seed, so nobody can make up a name whose bucket is another's.
type bucketHash uint64

var bucketSeed = maphash.MakeSeed()

func hashOf[T comparable](of T) bucketHash { return bucketHash(maphash.Comparable(bucketSeed, of)) }

func newBuckets(name string, r Rate) (*buckets, error) {
	if r.PerSecond == 0 {
		return nil, nil
	}
	byHash, err := lru.New[bucketHash, *rate.Limiter](maxBuckets)
	if err != nil {
		return nil, fmt.Errorf("api: %w", err)
	}
	return &buckets{Rate: r, name: name, byHash: byHash}, nil
}

func (b *buckets) of(whom bucketHash) *rate.Limiter {
	limiter, ok := b.byHash.Get(whom)
	if !ok {
		limiter = rate.NewLimiter(rate.Limit(b.PerSecond), b.Burst)
		if before, found, _ := b.byHash.PeekOrAdd(whom, limiter); found {
			limiter = before
		}
	}
	return limiter
}

// take takes a token, or tells after which time there is one.
func (b *buckets) take(whom bucketHash, now time.Time) (left int, wait time.Duration) {
	limiter := b.of(whom)
	if limiter.AllowN(now, 1) {
		return int(limiter.TokensAt(now)), 0
	}
	return 0, b.until(limiter, now)
}

// overdraw takes a token for what has been done already, also when there is none, as long as that is not too many: else those who do
// it at the same time would share one.
func (b *buckets) overdraw(whom bucketHash, now time.Time) {
	if limiter := b.of(whom); limiter.TokensAt(now) > -float64(b.Burst) {
		limiter.ReserveN(now, 1)
	}
}

// empty tells whether there is no token.
func (b *buckets) empty(whom bucketHash, now time.Time) bool {
	limiter, ok := b.byHash.Peek(whom)
	return ok && limiter.TokensAt(now) < 1
}

// until is the time until there is a token.
func (b *buckets) until(limiter *rate.Limiter, now time.Time) time.Duration {
	missing := 1 - limiter.TokensAt(now)
	return max(0, time.Duration(missing/b.PerSecond*float64(time.Second)))
}

// limiter bounds what everybody may take.
type limiter struct {
	callers, addresses, targets, wrongPINs, wrongTokens, strangers *buckets

	tries *pinTries
}

// requestsPerPIN is how many requests of an address one wrong PIN stands for. Each lock bounds how many are tried at its panel;
// this bounds who tries a few at every lock, to find a door that opens, or to lock the panels of all.
const requestsPerPIN = 100

func newLimiter(r Rates) (l limiter, err error) {
	if l.callers, err = newBuckets("caller", r.Caller); err != nil {
		return l, err
	}
	if l.addresses, err = newBuckets("address", r.Address); err != nil {
		return l, err
	}
	if l.targets, err = newBuckets("target", r.Target); err != nil {
		return l, err
	}
	if l.strangers, err = newBuckets("device", r.Address); err != nil {
		return l, err
	}
	if l.wrongTokens, err = newBuckets("token", r.Address); err != nil {
		return l, err
	}
	l.tries = &pinTries{underWay: make(map[bucketHash]int)}
	l.wrongPINs, err = newBuckets("pin", Rate{r.Address.PerSecond / requestsPerPIN, max(1, r.Address.Burst/requestsPerPIN)})
	return l, err
}

// wrongCredentials counts credentials that were not good as a request without any. When an address has had as many as it may have,
// no key of it is looked up any more but those that are known: or whoever makes them up could have the journal all for themselves.
// What was not looked up costs nothing, nor does what could not be: while the journal is away, good keys are not told from others.
//
// Wrong tokens are as many, in a bucket beside that, and when it is empty none is verified but those that are known: or whoever makes
// them up could have the processors. Tokens are new every few minutes, and those that are good must not wait because guests at the same
// address, who showed nothing wrong, took what it has.
func (s *server) wrongCredentials(w http.ResponseWriter, r *http.Request, c credentials, err error) {
	b := s.limiter.addresses
	if c.token {
		b = s.limiter.wrongTokens
	}
	if b == nil {
		return
	}
	switch now := s.Now(); {
	case errors.Is(err, errTooMany):
		w.Header().Set("Retry-After", "1")
	case errors.Is(err, errTooManyTokens):
		wait := b.until(b.of(s.network(r)), now)
		w.Header().Set("Retry-After", strconv.Itoa(max(1, int(math.Ceil(wait.Seconds())))))
	case isUnauthentic(err):
		b.overdraw(s.network(r), now)
	}
}

func isUnauthentic(err error) bool {
	refusal, ok := errors.AsType[*lock.Error](err)
	return ok && refusal.Kind == lock.Unauthentic
}

// mayShowNoToken tells whether an address had too many wrong tokens.
func (s *server) mayShowNoToken(r *http.Request) bool {
	b := s.limiter.wrongTokens
	return b != nil && b.empty(s.network(r), s.Now())
}

func (s *server) mayNotGuess(r *http.Request) bool {
	b := s.limiter.addresses
	return b != nil && b.empty(s.network(r), s.Now())
}

// Strangers bounds the wrong credentials of devices, which have a handler of their own. An address may show as many as it may make
// requests, in a bucket beside that: a lock with an old secret takes nothing of what guests at the same address have.
type Strangers struct{ server *server }

// Strangers are those who come to this server.
func (a *API) Strangers() Strangers { return Strangers{a.server} }

// MayTry tells whether a device's credentials are looked at: not those of an address that had too many wrong ones.
func (s Strangers) MayTry(r *http.Request) bool {
	b := s.server.limiter.strangers
	return b == nil || !b.empty(s.server.network(r), s.server.Now())
}

// Address is where a request came from.
func (s Strangers) Address(r *http.Request) string { return s.server.address(r) }

// Wrong counts credentials of a device that were not good.
func (s Strangers) Wrong(r *http.Request) {
	if b := s.server.limiter.strangers; b != nil {
		b.overdraw(s.server.network(r), s.server.Now())
	}
}

var errTooMany = &problem{
	status: http.StatusTooManyRequests, reason: "too-many-requests",
	message: "Too many requests came at once. Nothing was done; send the request again after the seconds that Retry-After names.",
}

var errTooManyTokens = &problem{
	status: http.StatusTooManyRequests, reason: "too-many-requests",
	message: "Too many wrong tokens came from this address. No token of it that was not good lately is looked at before Retry-After has passed.",
}

var errTooManyPINs = &problem{
	status: http.StatusTooManyRequests, reason: "too-many-requests",
	message: "Too many wrong PINs came from this address. No PIN of it is looked at before Retry-After has passed.",
}

// limit takes a token for the caller and one for what the request is about, and tells in the headers how many are left.
func (s *server) limit(w http.ResponseWriter, r *http.Request, caller lock.Caller) error {
	if caller.Super {
		return nil
	}
	now := s.Now()
	var err error
	if name := callerName(caller); name != "" {
		err = s.limiter.callers.charge(w, hashOf(name), now)
	} else if s.limiter.addresses != nil {
		err = s.limiter.addresses.charge(w, s.network(r), now)
	}
	if err != nil {
		return err
	}
	if s.limiter.targets == nil {
		return nil
	}
	target := targetOf(r)
	if target == "" {
		return nil
	}
	// Those who may not see a lock must not take what others have of it.
	return s.limiter.targets.charge(w, hashOf([2]string{target, callerScope(caller)}), now)
}

// targetOf names what a request is about, in one of the many ways in which an address can be written; it is empty when that can be
// nothing that there is. So the names are short, whatever a caller sends.
func targetOf(r *http.Request) string {
	if text, err := url.PathUnescape(chi.URLParam(r, "uuid")); err == nil && text != "" {
		key, _ := lock.ParseTempKeyID(text)
		return string(key)
	}
	if text, err := url.PathUnescape(chi.URLParam(r, "id")); err == nil && text != "" {
		if id, err := lock.ParseID(text); err == nil {
			return id.String()
		}
	}
	return ""
}

// What counts as one request more, by about what it costs: bytes of a body, which may have to be stored and kept for ever, keys of a
// bulk call, keys that a list over several locks looks at, and keys in a list.
const (
	bytesPerToken  = 8 << 10
	bulkPerToken   = 8
	scanPerToken   = 8
	listedPerToken = 25
)

// owe takes the tokens of a request that was more than one. Who has not so many has to wait before the next one.
func (s *server) owe(r *http.Request, tokens int) {
	caller := callerOf(r)
	if b := s.limiter.callers; b != nil && !caller.Super && tokens > 0 {
		b.of(hashOf(callerName(caller))).ReserveN(s.Now(), min(tokens, b.Burst))
	}
}

// charge takes a token. Whoever has more than half of them left is not bothered with headers.
func (b *buckets) charge(w http.ResponseWriter, whom bucketHash, now time.Time) error {
	if b == nil {
		return nil
	}
	left, wait := b.take(whom, now)
	if wait == 0 && left > b.Burst/2 {
		return nil
	}
	seconds := int(math.Ceil(max(wait, time.Duration(float64(time.Second)/b.PerSecond)).Seconds()))
	h := w.Header()
	h.Set("RateLimit-Policy", fmt.Sprintf(`"%s";q=%d;w=%d`, b.name, b.Burst, int(math.Ceil(float64(b.Burst)/b.PerSecond))))
	h.Set("RateLimit", fmt.Sprintf(`"%s";r=%d;t=%d`, b.name, left, seconds))
	if wait == 0 {
		return nil
	}
	h.Set("Retry-After", strconv.Itoa(seconds))
	return errTooMany
}

// callerName names who shows credentials; empty for those who do not.
func callerName(c lock.Caller) string {
	if c.Key != "" {
		return c.Key
	}
	return callerScope(c)
}

// callerScope names whose rights a caller has; empty for those who show no credentials.
func callerScope(c lock.Caller) string {
	switch {
	case c.OrgID != "":
		return "org/" + string(c.OrgID)
	case c.UserID != "":
		return "user/" + string(c.UserID)
	}
	return ""
}

// network is the network that a request came from: of IPv6 somebody has 64 bits at least.
func (s *server) network(r *http.Request) bucketHash {
	from := s.origin(r)
	if from.Is6() {
		network, _ := from.Prefix(64) // an address of 128 bits has it
		from = network.Addr()
	}
	return hashOf(from)
}
