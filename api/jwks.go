package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/MicahParks/keyfunc/v3"
	"golang.org/x/time/rate"
)

// An identity provider that is down does not stop the keys that are known. A token with an unknown key makes us look for new
// keys, but only so often: tokens are anybody's to make.
const (
	jwksTimeout     = 5 * time.Second
	jwksRefresh     = 15 * time.Minute
	jwksLookForKeys = time.Minute
	maxJWKSBytes    = 1 << 20
	maxRedirects    = 3
)

// loadJWKS reads the keys of the identity provider from a file, or from its URL and again whenever that is due.
func loadJWKS(ctx context.Context, where string, transport http.RoundTripper, logger *slog.Logger) (jwkset.Storage, error) {
	if !strings.HasPrefix(where, "https://") && !strings.HasPrefix(where, "http://") {
		raw, err := os.ReadFile(where)
		if err != nil {
			return nil, err
		}
		keys, err := keyfunc.NewJWKSetJSON(raw)
		if err != nil {
			return nil, err
		}
		return keys.Storage(), nil
	}
	shown, err := url.Parse(where)
	if err != nil {
		return nil, withoutURL(err)
	}
	shown.User, shown.RawQuery, shown.Fragment = nil, "", "" // they may be secrets
	tell := func(ctx context.Context, err error) {
		logger.WarnContext(ctx, "the keys of tokens could not be fetched; the known ones stay", "url", shown.String(), "error", withoutURL(err))
	}
	remote, err := jwkset.NewStorageFromHTTP(where, jwkset.HTTPClientStorageOptions{
		Ctx: ctx, Client: &http.Client{Transport: bounded{transport}, CheckRedirect: stayHere}, HTTPTimeout: jwksTimeout,
		NoErrorReturnFirstHTTPReq: true, RefreshErrorHandler: tell, RefreshInterval: jwksRefresh,
		Storage: keptKeys{jwkset.NewMemoryStorage()},
	})
	if err != nil {
		return nil, err
	}
	return jwkset.NewHTTPClient(jwkset.HTTPClientOptions{
		HTTPURLs:          map[string]jwkset.Storage{where: remote},
		RateLimitWaitMax:  jwksTimeout, // it bounds the request as well
		RefreshUnknownKID: rate.NewLimiter(rate.Every(jwksLookForKeys), 1),
	})
}

// withoutURL leaves out the address that net/url and net/http put into their errors: its secrets are nothing for a log.
func withoutURL(err error) error {
	if named, ok := errors.AsType[*url.Error](err); ok {
		return named.Err
	}
	return err
}

// stayHere follows no redirect to another server, nor to one without TLS: whose keys are believed is said by the operator.
func stayHere(r *http.Request, via []*http.Request) error {
	if first := via[0].URL; r.URL.Scheme != first.Scheme || r.URL.Host != first.Host || len(via) > maxRedirects {
		return fmt.Errorf("the set of keys is not at its address any more, but at %s", r.URL.Redacted())
	}
	return nil
}

// keptKeys keeps the keys that are known when a set comes without any: an identity provider that fails may well answer with
// an empty document.
type keptKeys struct{ jwkset.Storage }

// KeyReplaceAll takes a new set.
func (k keptKeys) KeyReplaceAll(ctx context.Context, keys []jwkset.JWK) error {
	if len(keys) == 0 {
		return errors.New("the set has no keys")
	}
	return k.Storage.KeyReplaceAll(ctx, keys)
}

// bounded bounds how much is read of an answer.
type bounded struct{ http.RoundTripper }

// RoundTrip sends a request.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := b.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if response.ContentLength > maxJWKSBytes {
		_ = response.Body.Close()
		return nil, fmt.Errorf("the set of keys has %d bytes, %d are allowed", response.ContentLength, maxJWKSBytes)
	}
	response.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(response.Body, maxJWKSBytes), response.Body}
	return response, nil
}
