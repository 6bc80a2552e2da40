package main

import (
	"context"
	"net/http"
	"time"

	"github.com/latchkey/latchkey/client"
)

type adminOrg struct {
	Create adminOrgCreate `cmd:"" help:"Register an organisation, or give it another name."`
	List   adminOrgList   `cmd:"" help:"List the organisations."`
	Events adminOrgEvents `cmd:"" help:"Print what happened to an organisation's locks and keys, as lines of JSON."`
}

type adminOrgCreate struct {
	Org  string `arg:"" help:"ID of the organisation."`
	Name string `placeholder:"NAME" help:"Its name, for people."`
}

// Run registers the organisation.
func (c *adminOrgCreate) Run(ctx context.Context, out terminal, flags *adminCommand) error {
	a, err := flags.connect(out)
	if err != nil {
		return err
	}
	answer, err := a.api.RegisterOrganizationWithResponse(ctx, client.RegisterOrganizationRequest{OrgId: c.Org, Name: wanted(c.Name)})
	if err != nil {
		return err
	}
	made := answer.JSON201
	if made == nil {
		made = answer.JSON200
	}
	return tell(a, answer.Body, made, func(o *client.OrganizationResult) error {
		return a.say("%s is registered. An API key for it: latchkey admin key create %s", o.OrgId, o.OrgId)
	})
}

type adminOrgList struct{}

// Run lists all organisations, page by page.
func (c *adminOrgList) Run(ctx context.Context, out terminal, flags *adminCommand) error {
	a, err := flags.connect(out)
	if err != nil {
		return err
	}
	rows := [][]string{{"ID", "NAME", "SINCE"}}
	for cursor := ""; ; {
		answer, err := a.api.ListOrganizationsWithResponse(ctx, &client.ListOrganizationsParams{Cursor: &cursor})
		if err != nil {
			return err
		}
		if err := tell(a, answer.Body, answer.JSON200, func(page *client.OrganizationList) error {
			for _, o := range page.Organizations {
				rows = append(rows, []string{o.OrgId, or(o.Name, "-"), o.CreatedAt.Format(time.RFC3339)})
			}
			return nil
		}); err != nil {
			return err
		}
		if cursor = told(answer.JSON200.NextCursor); cursor == "" {
			break
		}
	}
	if a.json {
		return nil
	}
	return a.table(rows)
}

type adminOrgEvents struct {
	Org    string `arg:"" help:"ID of the organisation."`
	Cursor string `placeholder:"CURSOR" help:"Begin after the line that has this cursor."`
}

// Run prints the events.
func (c *adminOrgEvents) Run(ctx context.Context, out terminal, flags *adminCommand) error {
	a, err := flags.connect(out)
	if err != nil {
		return err
	}
	return a.export(c.Cursor, func(cursor string) (*http.Response, error) {
		return a.api.ExportOrganizationEvents(ctx, c.Org, &client.ExportOrganizationEventsParams{Cursor: &cursor})
	})
}
