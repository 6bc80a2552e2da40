package main

import (
	"context"
	"strings"
	"time"

	"github.com/latchkey/latchkey/client"
)

type adminKey struct {
	Create adminKeyCreate `cmd:"" help:"Make an API key for an organisation. It is shown once."`
	List   adminKeyList   `cmd:"" help:"List an organisation's API keys by their first characters."`
	Rotate adminKeyRotate `cmd:"" help:"Make a successor for an API key, which stays good for a grace."`
	Revoke adminKeyRevoke `cmd:"" help:"End an API key, on every server within a second."`
}

// show prints a key that was just made.
func (a *admin) show(k *client.CreateApiKeyResult) error {
	until := "it is revoked"
	if k.ExpiresAt != nil {
		until = k.ExpiresAt.Format(time.RFC3339)
	}
	return a.say("The API key of %s, which is shown only now:\n\n  %s\n\nID %s, good to %s, until %s.", k.OrgId, k.Key, k.KeyId, list(k.Scopes, ", "), until)
}

func list(scopes []client.ApiKeyScope, separator string) string {
	words := make([]string, len(scopes))
	for i, s := range scopes {
		words[i] = string(s)
	}
	return strings.Join(words, separator)
}

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
	want := client.CreateApiKeyRequest{Name: wanted(c.Name)}
	if len(c.Scopes) > 0 {
		scopes := make([]client.ApiKeyScope, len(c.Scopes))
		for i, s := range c.Scopes {
			scopes[i] = client.ApiKeyScope(s)
		}
		want.Scopes = &scopes
	}
	if c.Expires != 0 {
		at := time.Now().Add(c.Expires)
		want.ExpiresAt = &at
	}
	answer, err := a.api.CreateApiKeyWithResponse(ctx, c.Org, want)
	if err != nil {
		return err
	}
	return tell(a, answer.Body, answer.JSON201, a.show)
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
	answer, err := a.api.ListApiKeysWithResponse(ctx, c.Org)
	if err != nil {
		return err
	}
	return tell(a, answer.Body, answer.JSON200, func(all *client.ApiKeyList) error {
		rows := [][]string{{"ID", "BEGINS WITH", "NAME", "SCOPES", "STATUS", "CREATED", "EXPIRES"}}
		for _, k := range all.ApiKeys {
			expires := "-"
			if k.ExpiresAt != nil {
				expires = k.ExpiresAt.Format(time.RFC3339)
			}
			rows = append(rows, []string{k.KeyId, k.Prefix, or(k.Name, "-"), list(k.Scopes, ","), string(k.Status), k.CreatedAt.Format(time.RFC3339), expires})
		}
		return a.table(rows)
	})
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
	grace := int64(c.Grace.Seconds())
	answer, err := a.api.RotateApiKeyWithResponse(ctx, c.Org, c.Key, client.RotateApiKeyRequest{GraceSeconds: &grace})
	if err != nil {
		return err
	}
	return tell(a, answer.Body, answer.JSON201, func(k *client.CreateApiKeyResult) error {
		if err := a.show(k); err != nil {
			return err
		}
		return a.say("The key before is good for another %s.", c.Grace)
	})
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
	answer, err := a.api.RevokeApiKeyWithResponse(ctx, c.Org, c.Key)
	if err != nil {
		return err
	}
	return tell(a, answer.Body, answer.JSON200, func(k *client.ApiKeyResult) error {
		return a.say("The key %s (%s...) is revoked: a second from now no server takes it.", k.KeyId, k.Prefix)
	})
}
