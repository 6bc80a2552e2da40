package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/latchkey/latchkey/client"
)

type adminLock struct {
	Create   adminLockCreate   `cmd:"" help:"Create a lock."`
	Show     adminLockShow     `cmd:"" help:"Tell about a lock and its device."`
	HandOver adminLockHandOver `cmd:"" help:"Hand a lock to an organisation."`
	Secret   adminLockSecret   `cmd:"" help:"Give a lock's device a new secret. It is shown once."`
	Open     adminLockOpen     `cmd:"" help:"Open a lock."`
	Events   adminLockEvents   `cmd:"" help:"Print what happened to a lock, as lines of JSON."`
}

type lockID struct {
	ID int64 `arg:"" help:"Number of the lock."`
}

type adminLockCreate struct {
	lockID
	UUID   uuid.UUID `name:"uuid" placeholder:"UUID" help:"UUID of the device (a new one)."`
	Index  int64     `default:"1" placeholder:"N" help:"The platform's own numbering of its devices (${default})."`
	Serial string    `placeholder:"TEXT" help:"Serial number."`
	Vendor string    `placeholder:"TEXT" help:"Maker of the device."`
	Org    string    `placeholder:"ORG" help:"Organisation that it is handed to."`
}

// Run creates the lock and hands it to its organisation.
func (c *adminLockCreate) Run(ctx context.Context, out terminal, flags *adminCommand) error {
	a, err := flags.connect(out)
	if err != nil {
		return err
	}
	if c.UUID == uuid.Nil {
		c.UUID = uuid.New()
	}
	answer, err := a.api.CreateLockWithResponse(ctx, c.ID, client.CreateLockRequest{
		Index: c.Index, Uuid: c.UUID, SerialNumber: wanted(c.Serial), VendorName: wanted(c.Vendor),
	})
	if err != nil {
		return err
	}
	if c.Org != "" {
		if _, err := a.api.SetOrganizationWithResponse(ctx, c.ID, client.SetOrganizationRequest{OrgId: c.Org}); err != nil {
			return fmt.Errorf("the lock was created, but not handed over: %w", err)
		}
	}
	made := answer.JSON201
	if made == nil {
		made = answer.JSON200
	}
	return tell(a, answer.Body, made, func(*client.CreateLockResult) error {
		return a.say("Lock %d is there, for the device %s. Give that its secret: latchkey admin lock secret %d", c.ID, c.UUID, c.ID)
	})
}

type adminLockShow struct{ lockID }

// Run tells about the lock.
func (c *adminLockShow) Run(ctx context.Context, out terminal, flags *adminCommand) error {
	a, err := flags.connect(out)
	if err != nil {
		return err
	}
	answer, err := a.api.GetDetailsWithResponse(ctx, c.ID)
	if err != nil {
		return err
	}
	return tell(a, answer.Body, answer.JSON200, func(l *client.Details) error {
		device := "offline"
		if d := l.Device; d.Online {
			device = fmt.Sprintf("online, firmware %s, bolt %s, door %s, battery %d %%",
				or(shown(told(d.Firmware)), "?"), or(shown(told(d.Bolt)), "?"), or(shown(told(d.Door)), "?"), told(d.Battery))
		}
		return a.table([][]string{
			{"device", l.Uuid}, {"", device}, {"serial number", or(told(l.SerialNumber), "-")}, {"vendor", or(told(l.VendorName), "-")},
			{"organisation", or(l.OrgId, "-")}, {"owner", or(told(l.OwnerId), "-")}, {"created", l.CreatedAt.Format(time.RFC3339)},
			{"changed", fmt.Sprintf("%s, version %d", l.Timestamp.Format(time.RFC3339), l.Version)},
		})
	})
}

type adminLockHandOver struct {
	lockID
	Org string `arg:"" help:"ID of the organisation that gets it."`
}

// Run hands the lock over.
func (c *adminLockHandOver) Run(ctx context.Context, out terminal, flags *adminCommand) error {
	a, err := flags.connect(out)
	if err != nil {
		return err
	}
	answer, err := a.api.SetOrganizationWithResponse(ctx, c.ID, client.SetOrganizationRequest{OrgId: c.Org})
	if err != nil {
		return err
	}
	return tell(a, answer.Body, answer.JSON200, func(*client.SetOrganizationResult) error { return a.say("Lock %d is %s's.", c.ID, c.Org) })
}

type adminLockSecret struct {
	lockID
	Grace time.Duration `default:"24h" placeholder:"DURATION" help:"How long the secret before stays good (${default})."`
}

// Run makes the secret.
func (c *adminLockSecret) Run(ctx context.Context, out terminal, flags *adminCommand) error {
	a, err := flags.connect(out)
	if err != nil {
		return err
	}
	grace := int64(c.Grace.Seconds())
	answer, err := a.api.RotateDeviceSecretWithResponse(ctx, c.ID, client.RotateDeviceSecretRequest{GraceSeconds: &grace})
	if err != nil {
		return err
	}
	return tell(a, answer.Body, answer.JSON200, func(r *client.RotateDeviceSecretResult) error {
		return a.say("The secret of lock %d's device, which is shown only now:\n\n  %s\n", c.ID, r.Secret)
	})
}

type adminLockOpen struct {
	lockID
	Reason string `placeholder:"TEXT" help:"Why, for the lock's events."`
}

// Run opens the lock.
func (c *adminLockOpen) Run(ctx context.Context, out terminal, flags *adminCommand) error {
	a, err := flags.connect(out)
	if err != nil {
		return err
	}
	request := uuid.NewString()
	answer, err := a.api.OpenLockWithResponse(ctx, c.ID, client.OpenLockRequest{RequestId: &request, Reason: wanted(c.Reason)})
	if err != nil {
		return err
	}
	return tell(a, answer.Body, answer.JSON200, func(r *client.OpenLockResult) error {
		return a.say("Lock %d: %s", c.ID, strings.TrimSpace(string(r.Outcome)+". "+told(r.Message)))
	})
}

type adminLockEvents struct {
	lockID
	Cursor string `placeholder:"CURSOR" help:"Begin after the line that has this cursor."`
}

// Run prints the events.
func (c *adminLockEvents) Run(ctx context.Context, out terminal, flags *adminCommand) error {
	a, err := flags.connect(out)
	if err != nil {
		return err
	}
	return a.export(c.Cursor, func(cursor string) (*http.Response, error) {
		return a.api.ExportLockEvents(ctx, c.ID, &client.ExportLockEventsParams{Cursor: &cursor})
	})
}
