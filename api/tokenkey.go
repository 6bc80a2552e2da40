package api

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"
)

const (
	minRSABits   = 2048
	maxKeyIDs    = 200 // bytes of a kid
	maxTriedKeys = 8   // for one token
	maxDepth     = 16  // of a token's JSON
)

// key finds the keys that may have signed a token. The algorithm was checked against the list before; the kind of a key must
// fit it, and so must what its issuer says that it is for.
func (t *tokens) key(ctx context.Context, token *jwt.Token) (any, error) {
	if err := understood(token.Header); err != nil {
		return nil, err
	}
	if token.Method == jwt.SigningMethodHS256 {
		return t.secret, nil
	}
	all, err := t.keys.KeyReadAll(ctx)
	if err != nil {
		return nil, err
	}
	kid, there := token.Header["kid"]
	if !there && len(all) == 0 {
		// Nothing has come from the provider yet: it was down when the server started. It is asked as for an unknown key.
		if _, err := t.keys.KeyRead(context.WithoutCancel(ctx), ""); err != nil && !errors.Is(err, jwkset.ErrKeyNotFound) {
			return nil, err
		}
		if all, err = t.keys.KeyReadAll(ctx); err != nil {
			return nil, err
		}
	}
	if there {
		name, ok := kid.(string)
		if !ok || name == "" || len(name) > maxKeyIDs {
			return nil, errors.New("kid is no name of a key")
		}
		named := func(k jwkset.JWK) bool { return k.Marshal().KID == name }
		if all = slices.DeleteFunc(all, func(k jwkset.JWK) bool { return !named(k) }); len(all) == 0 {
			// The look for new keys is everybody's. It must not end because this caller leaves.
			key, err := t.keys.KeyRead(context.WithoutCancel(ctx), name)
			if err != nil {
				return nil, err
			}
			all = []jwkset.JWK{key}
		}
	}
	var fitting jwt.VerificationKeySet
	for _, k := range all {
		if key := publicKey(k); fits(token.Method, key, k.Marshal()) {
			fitting.Keys = append(fitting.Keys, key)
		}
	}
	if len(fitting.Keys) > maxTriedKeys {
		return nil, fmt.Errorf("%d keys may have signed the token: it must name one by kid", len(fitting.Keys))
	}
	return fitting, nil
}

// publicKey gives the public part of a key, which is all that a set should have.
func publicKey(k jwkset.JWK) crypto.PublicKey {
	key := k.Key()
	if private, ok := key.(interface{ Public() crypto.PublicKey }); ok {
		return private.Public()
	}
	return key
}

func fits(method jwt.SigningMethod, key crypto.PublicKey, says jwkset.JWKMarshal) bool {
	switch {
	case says.ALG != "" && says.ALG.String() != method.Alg(),
		says.USE != "" && says.USE != jwkset.UseSig,
		len(says.KEYOPS) > 0 && !slices.Contains(says.KEYOPS, jwkset.KeyOpsVerify):
		return false
	}
	switch k := key.(type) {
	case *rsa.PublicKey:
		return method == jwt.SigningMethodRS256 && k.N.BitLen() >= minRSABits
	case *ecdsa.PublicKey:
		return method == jwt.SigningMethodES256 && k.Curve == elliptic.P256()
	}
	return false
}

// noNameTwice rejects JSON in which an object has a name twice. Readers differ in which of the two they believe, so that one
// token could mean different users to different services.
func noNameTwice(data []byte) error {
	d := json.NewDecoder(bytes.NewReader(data))
	var objects []map[string]bool // the names of the objects that are open; nil for a list
	for named := false; ; {
		token, err := d.Token()
		if err != nil {
			return err
		}
		if name, ok := token.(string); ok && !named && len(objects) > 0 && objects[len(objects)-1] != nil {
			if objects[len(objects)-1][name] {
				return fmt.Errorf("%q is there twice", name)
			}
			objects[len(objects)-1][name], named = true, true
			continue
		}
		named = false
		switch token {
		case json.Delim('{'):
			objects = append(objects, make(map[string]bool))
		case json.Delim('['):
			objects = append(objects, nil)
		case json.Delim('}'), json.Delim(']'):
			objects = objects[:len(objects)-1]
		}
		if len(objects) > maxDepth {
			return errors.New("it is nested too deeply")
		}
		if len(objects) == 0 {
			return nil
		}
	}
}
