package main

import (
	"context"
	"net/http"
	"net/url"
)

type adminOrg struct {
	Create adminOrgCreate `cmd:"" help:"Register an organisation, or give it another name."`
	List   adminOrgList   `cmd:"" help:"List the organisations."`
	Events adminOrgEvents `cmd:"" help:"Print what happened to an organisation's locks and keys, as lines of JSON."`
}

// organization is what the server tells of one.
type organization struct{ OrgID, Name, CreatedAt string }

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
	var o organization
	if done, err := a.call(ctx, http.MethodPost, "/organizations", map[string]any{"orgId": c.Org, "name": c.Name}, &o); done || err != nil {
		return err
	}
	return a.say("%s is registered. It has no API key until you make one: latchkey admin key create %s", o.OrgID, o.OrgID)
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
		var page struct {
			Organizations []organization
			NextCursor    string
		}
		quiet := *a
		quiet.json = false
		if _, err := quiet.call(ctx, http.MethodGet, "/organizations?cursor="+url.QueryEscape(cursor), nil, &page); err != nil {
			return err
		}
		for _, o := range page.Organizations {
			if a.json {
				if err := a.line(map[string]any{"orgId": o.OrgID, "name": o.Name, "createdAt": o.CreatedAt}); err != nil {
					return err
				}
			}
			rows = append(rows, []string{o.OrgID, or(o.Name, "-"), o.CreatedAt})
		}
		if cursor = page.NextCursor; cursor != "" {
			continue
		}
		if a.json {
			return nil
		}
		return a.table(rows)
	}
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
	return a.export(ctx, "/organizations/"+url.PathEscape(c.Org)+"/events", c.Cursor)
}
