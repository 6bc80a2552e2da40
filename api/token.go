package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"
	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/latchkey/latchkey/lock"
)

// TokenOptions say which tokens are taken. With neither JWKS nor HS256Secret none are.
type TokenOptions struct {
	JWKS        string // URL or file of the keys of RS256 and ES256 tokens
	HS256Secret []byte // shared secret of HS256 tokens, for development
	Issuer      string // if set, iss must be this
	Audience    string // if set, aud must name this
}

const (
	tokenLeeway      = 30 * time.Second
	maxSubjectLength = 800
	minSecretLength  = 32
	maxGoodTokens    = 1 << 16
	latestInstant    = 253402300799 // the last second of the year 9999, in which no reader of RFC 3339 overflows
)

// tokens checks JSON web tokens as RFC 8725 asks. What a token says of its own key (jku, jwk, x5u, x5c) is never looked at.
type tokens struct {
	parser *jwt.Parser // nil: none are taken
	keys   jwkset.Storage
	secret []byte
	good   *lru.Cache[bucketHash, struct{}] // the tokens that were good when they were shown last
	close  context.CancelFunc
}

func newTokens(o TokenOptions, now func() time.Time, logger *slog.Logger) (*tokens, error) {
	good, err := lru.New[bucketHash, struct{}](maxGoodTokens)
	if err != nil {
		return nil, fmt.Errorf("api: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	t := &tokens{secret: o.HS256Secret, good: good, close: cancel}
	var methods []string
	if o.JWKS != "" {
		if t.keys, err = loadJWKS(ctx, o.JWKS, http.DefaultTransport, logger); err != nil {
			cancel()
			return nil, fmt.Errorf("api: JWKS: %w", err)
		}
		methods = append(methods, jwt.SigningMethodRS256.Name, jwt.SigningMethodES256.Name)
	}
	if len(o.HS256Secret) > 0 {
		if len(o.HS256Secret) < minSecretLength {
			cancel()
			return nil, fmt.Errorf("api: the HS256 secret must have %d bytes or more", minSecretLength)
		}
		methods = append(methods, jwt.SigningMethodHS256.Name)
	}
	if methods == nil {
		return t, nil
	}
	options := []jwt.ParserOption{
		jwt.WithValidMethods(methods), jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithLeeway(tokenLeeway),
		jwt.WithStrictDecoding(), jwt.WithTimeFunc(now),
	}
	if o.Issuer != "" {
		options = append(options, jwt.WithIssuer(o.Issuer))
	}
	if o.Audience != "" {
		options = append(options, jwt.WithAudience(o.Audience))
	}
	if o.JWKS != "" && (o.Issuer == "" || o.Audience == "") {
		logger.Warn("tokens that the identity provider made for other services are taken here too: say which issuer and which audience a token must name")
	}
	t.parser = jwt.NewParser(options...)
	return t, nil
}

var errTokenUser = unauthentic("token-without-user", "The token names no user: it needs a sub of 1 to 800 bytes, without control characters and those that turn the direction of text.")

// checkToken returns the user of a token. To verify one costs as much as many requests, so an address may show only so many wrong ones.
// What is known to have been good is looked at all the same, since it is somebody else's at the same address, and so is what comes beside
// a good API key: that is no stranger's.
func (s *server) checkToken(r *http.Request, text string, besideKey bool) (lock.UserID, error) {
	token := hashOf(text)
	if !besideKey && !s.tokens.good.Contains(token) && s.mayShowNoToken(r) {
		return "", errTooManyTokens
	}
	user, err := s.tokens.check(r.Context(), text)
	if err != nil {
		if isUnauthentic(err) {
			s.tokens.good.Remove(token) // it has expired, or its key was withdrawn: from now on it is a wrong one like others
		}
		return "", err
	}
	s.tokens.good.Add(token, struct{}{})
	return user, nil
}

// check verifies a token and returns its user.
func (t *tokens) check(ctx context.Context, text string) (lock.UserID, error) {
	if t.parser == nil {
		return "", unauthentic("tokens-not-taken", "This server takes no tokens. Show an API key in X-API-Key.")
	}
	claims := jwt.MapClaims{} // unlike a struct, it tells sub from Sub
	token, err := t.parser.ParseWithClaims(text, claims, func(token *jwt.Token) (any, error) { return t.key(ctx, token) })
	if err == nil {
		err = t.strict(token, claims)
	}
	if err != nil {
		return "", tokenError(err)
	}
	user, err := claims.GetSubject()
	if err != nil {
		return "", tokenError(err)
	}
	if user == "" || len(user) > maxSubjectLength || lock.HasUnseen(user) {
		return "", errTokenUser
	}
	return lock.UserID(user), nil
}

// strict rejects what a signature does not make good: it is looked at after that, so that only the issuer can make us look.
func (t *tokens) strict(token *jwt.Token, claims jwt.MapClaims) error {
	segments := strings.Split(token.Raw, ".")
	for _, segment := range segments[:2] {
		data, err := t.parser.DecodeSegment(segment)
		if err != nil {
			return err
		}
		if err := noNameTwice(data); err != nil {
			return err
		}
	}
	for _, name := range []string{"exp", "nbf", "iat"} {
		if at, ok := claims[name].(float64); ok && (at < 0 || at > latestInstant) {
			return fmt.Errorf("%s is no instant", name)
		}
	}
	return nil
}

// types are the values of typ that say that it is a token for us. A token for something else must not be taken for one.
var types = []string{"jwt", "at+jwt"}

// understood rejects headers that change what a token means.
func understood(header map[string]any) error {
	if typ, there := header["typ"]; there {
		text, _ := typ.(string)
		text = strings.TrimPrefix(strings.ToLower(text), "application/")
		if text != types[0] && text != types[1] {
			return errors.New("the token is of another type")
		}
	}
	for _, name := range []string{"crit", "b64", "zip", "enc"} {
		if _, there := header[name]; there {
			return fmt.Errorf("the token has %s, which is not known here", name)
		}
	}
	return nil
}

// tokenError tells the caller what to mend. Whether the signature or the algorithm was wrong is not told apart.
func tokenError(err error) error {
	switch {
	case errors.Is(err, jwt.ErrTokenExpired):
		return unauthentic("token-expired", "The token has expired. Get a new one.")
	case errors.Is(err, jwt.ErrTokenNotValidYet), errors.Is(err, jwt.ErrTokenUsedBeforeIssued):
		return unauthentic("token-not-yet-valid", "The token is not valid yet. Look at the clock of its issuer.")
	case errors.Is(err, jwt.ErrTokenRequiredClaimMissing):
		return unauthentic("token-claim-missing", "The token lacks a claim: exp, and iss and aud where the server asks for them.")
	case errors.Is(err, jwt.ErrTokenInvalidAudience):
		return unauthentic("token-audience", "The token is meant for another audience.")
	case errors.Is(err, jwt.ErrTokenInvalidIssuer):
		return unauthentic("token-issuer", "The token comes from an issuer that is not trusted here.")
	default:
		return unauthentic("token-invalid", "The token is not good.")
	}
}
