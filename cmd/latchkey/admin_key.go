package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

type adminKey struct {
	Create adminKeyCreate `cmd:"" help:"Make an API key for an organisation. It is shown once."`
	List   adminKeyList   `cmd:"" help:"List an organisation's API keys by their first characters."`
	Rotate adminKeyRotate `cmd:"" help:"Make a successor for an API key, which stays good for a grace."`
	Revoke adminKeyRevoke `cmd:"" help:"End an API key, on every server within a second."`
}

// apiKey is what the server tells of one.
type apiKey struct {
	KeyID, OrgID, Prefix, Name, Status, CreatedAt, ExpiresAt string
	Scopes                                                   []string
	Key                                                      string // when it is made
}

func keysOf(org string) string { return "/organizations/" + url.PathEscape(org) + "/api-keys" }

// show prints a key that was just made.
func (a *admin) show(k *apiKey) error {
	return a.say("The API key of %s, which is shown only now:\n\n  %s\n\nID %s, good to %s, until %s.",
		k.OrgID, k.Key, k.KeyID, strings.Join(k.Scopes, ", "), or(k.ExpiresAt, "it is revoked"))
}

// line prints a value as one line of JSON.
func (a *admin) line(v any) error { return json.NewEncoder(a.out).Encode(v) }

type adminKeyCreate struct {
	Org     string        `arg:"" help:"ID of the organisation."`
	Name    string        `placeholder:"NAME" help:"What it is for, for people."`
	Scopes  []string      `placeholder:"SCOPE" enum:"read,manage,open" help:"What it is good for: read, manage, open (all of them)."`
	Expires time.Duration `placeholder:"DURATION" help:"How long it is good, as in 2160h (for ever)."`
}

// Run makes the key.
func (c *adminKeyCreate) Run(ctx context.Context, out terminal, flags *adminCommand) error {
	a, err := flags.connect(out)
	if err != nil {
		return err
	}
	body := map[string]any{"name": c.Name}
	if len(c.Scopes) > 0 {
		body["scopes"] = c.Scopes
	}
	if c.Expires != 0 {
		body["expiresAt"] = time.Now().Add(c.Expires).UTC().Format(time.RFC3339)
	}
	var k apiKey
	if done, err := a.call(ctx, http.MethodPost, keysOf(c.Org), body, &k); done || err != nil {
		return err
	}
	return a.show(&k)
}

type adminKeyList struct {
	Org string `arg:"" help:"ID of the organisation."`
}

// Run lists the keys.
func (c *adminKeyList) Run(ctx context.Context, out terminal, flags *adminCommand) error {
	a, err := flags.connect(out)
	if err != nil {
		return err
	}
	var list struct{ APIKeys []apiKey }
	if done, err := a.call(ctx, http.MethodGet, keysOf(c.Org), nil, &list); done || err != nil {
		return err
	}
	rows := [][]string{{"ID", "BEGINS WITH", "NAME", "SCOPES", "STATUS", "CREATED", "EXPIRES"}}
	for _, k := range list.APIKeys {
		rows = append(rows, []string{k.KeyID, k.Prefix, or(k.Name, "-"), strings.Join(k.Scopes, ","), k.Status, k.CreatedAt, or(k.ExpiresAt, "-")})
	}
	return a.table(rows)
}

type adminKeyRotate struct {
	Org   string        `arg:"" help:"ID of the organisation."`
	Key   string        `arg:"" help:"ID of the key, as the list has it."`
	Grace time.Duration `default:"24h" placeholder:"DURATION" help:"How long the key stays good beside its successor (${default})."`
}

// Run makes the successor.
func (c *adminKeyRotate) Run(ctx context.Context, out terminal, flags *adminCommand) error {
	a, err := flags.connect(out)
	if err != nil {
		return err
	}
	var k apiKey
	path := fmt.Sprintf("%s/%s/rotate", keysOf(c.Org), url.PathEscape(c.Key))
	if done, err := a.call(ctx, http.MethodPost, path, map[string]any{"graceSeconds": int64(c.Grace.Seconds())}, &k); done || err != nil {
		return err
	}
	if err := a.show(&k); err != nil {
		return err
	}
	return a.say("The key before is good for another %s.", c.Grace)
}

type adminKeyRevoke struct {
	Org string `arg:"" help:"ID of the organisation."`
	Key string `arg:"" help:"ID of the key, as the list has it."`
}

// Run revokes the key.
func (c *adminKeyRevoke) Run(ctx context.Context, out terminal, flags *adminCommand) error {
	a, err := flags.connect(out)
	if err != nil {
		return err
	}
	var k apiKey
	path := fmt.Sprintf("%s/%s/revoke", keysOf(c.Org), url.PathEscape(c.Key))
	if done, err := a.call(ctx, http.MethodPost, path, nil, &k); done || err != nil {
		return err
	}
	return a.say("The key %s (%s...) is revoked: a second from now no server takes it.", k.KeyID, k.Prefix)
}
