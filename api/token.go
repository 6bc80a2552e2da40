package api

import (
	"context"
	"crypto/ecdsa"
	"crypto/rsa"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/time/rate"

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
	minRSABits       = 2048

	// An identity provider that is down does not stop the keys that are known. A token with an unknown key makes us look
	// for new keys, but only so often: tokens are anybody's to make.
	jwksTimeout     = 5 * time.Second
	jwksRefresh     = time.Hour
	jwksLookForKeys = time.Minute
)

// tokens checks JSON web tokens.
type tokens struct {
	parser *jwt.Parser // nil: none are taken
	keys   keyfunc.Keyfunc
	secret []byte
	close  context.CancelFunc
}

func newTokens(o TokenOptions, now func() time.Time, logger *slog.Logger) (*tokens, error) {
	ctx, cancel := context.WithCancel(context.Background())
	t := &tokens{secret: o.HS256Secret, close: cancel}
	var methods []string
	if o.JWKS != "" {
		keys, err := loadJWKS(ctx, o.JWKS, logger)
		if err != nil {
			cancel()
			return nil, fmt.Errorf("api: JWKS: %w", err)
		}
		t.keys = keys
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
	t.parser = jwt.NewParser(options...)
	return t, nil
}

func loadJWKS(ctx context.Context, where string, logger *slog.Logger) (keyfunc.Keyfunc, error) {
	if !strings.HasPrefix(where, "https://") && !strings.HasPrefix(where, "http://") {
		raw, err := os.ReadFile(where)
		if err != nil {
			return nil, err
		}
		return keyfunc.NewJWKSetJSON(raw)
	}
	return keyfunc.NewDefaultOverrideCtx(ctx, []string{where}, keyfunc.Override{
		HTTPTimeout: jwksTimeout, RateLimitWaitMax: jwksTimeout, RefreshInterval: jwksRefresh,
		RefreshUnknownKID: rate.NewLimiter(rate.Every(jwksLookForKeys), 1),
		RefreshErrorHandlerFunc: func(url string) func(context.Context, error) {
			return func(ctx context.Context, err error) {
				logger.WarnContext(ctx, "the keys of tokens could not be fetched; the known ones stay", "url", url, "error", err)
			}
		},
	})
}

// check returns the user of a token.
func (t *tokens) check(ctx context.Context, token string) (lock.UserID, error) {
	if t.parser == nil {
		return "", unauthentic("tokens-not-taken", "This server takes no tokens. Show an API key in X-API-Key.")
	}
	var claims jwt.RegisteredClaims
	if _, err := t.parser.ParseWithClaims(token, &claims, t.key(ctx)); err != nil {
		return "", tokenError(err)
	}
	if claims.Subject == "" || len(claims.Subject) > maxSubjectLength {
		return "", unauthentic("token-without-user", "The token names no user: it needs a sub of 1 to 800 characters.")
	}
	return lock.UserID(claims.Subject), nil
}

// key finds the key of a token. The algorithm was checked against the list before; the type of the key must fit it.
func (t *tokens) key(ctx context.Context) jwt.Keyfunc {
	return func(token *jwt.Token) (any, error) {
		if _, there := token.Header["crit"]; there {
			return nil, errors.New("the token asks for extensions that are not known here")
		}
		if token.Method == jwt.SigningMethodHS256 {
			return t.secret, nil
		}
		key, err := t.keys.KeyfuncCtx(ctx)(token)
		if err != nil {
			return nil, err
		}
		if set, ok := key.(jwt.VerificationKeySet); ok {
			fitting := jwt.VerificationKeySet{}
			for _, k := range set.Keys {
				if fits(token.Method, k) {
					fitting.Keys = append(fitting.Keys, k)
				}
			}
			return fitting, nil
		}
		if !fits(token.Method, key) {
			return nil, errors.New("the key of the token is of another kind than its algorithm")
		}
		return key, nil
	}
}

func fits(method jwt.SigningMethod, key jwt.VerificationKey) bool {
	switch k := key.(type) {
	case *rsa.PublicKey:
		return method == jwt.SigningMethodRS256 && k.N.BitLen() >= minRSABits
	case *ecdsa.PublicKey:
		return method == jwt.SigningMethodES256
	}
	return false
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
