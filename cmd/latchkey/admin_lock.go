package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"
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

func (l lockID) path(operation string) string { return fmt.Sprintf("/locks/%d/%s", l.ID, operation) }

type adminLockCreate struct {
	lockID
	UUID   string `name:"uuid" placeholder:"UUID" help:"UUID of the device (a new one)."`
	Index  int64  `default:"1" placeholder:"N" help:"The platform's own numbering of its devices (${default})."`
	Serial string `placeholder:"TEXT" help:"Serial number."`
	Vendor string `placeholder:"TEXT" help:"Maker of the device."`
	Org    string `placeholder:"ORG" help:"Organisation that it is handed to."`
}

// Run creates the lock and hands it to its organisation.
func (c *adminLockCreate) Run(ctx context.Context, out terminal, flags *adminCommand) error {
	a, err := flags.connect(out)
	if err != nil {
		return err
	}
	id := or(c.UUID, uuid.NewString())
	body := map[string]any{"index": c.Index, "uuid": id, "serialNumber": c.Serial, "vendorName": c.Vendor}
	done, err := a.call(ctx, http.MethodPost, c.path("CreateLock"), body, new(struct{}))
	if err != nil {
		return err
	}
	if c.Org != "" {
		if _, err := a.call(ctx, http.MethodPost, c.path("SetOrganization"), map[string]any{"orgId": c.Org}, new(struct{})); err != nil {
			return fmt.Errorf("the lock was created, but not handed over: %w", err)
		}
	}
	if done {
		return nil
	}
	return a.say("Lock %d is there, for the device %s. Give that its secret: latchkey admin lock secret %d", c.ID, id, c.ID)
}

type adminLockShow struct{ lockID }

// Run tells about the lock.
func (c *adminLockShow) Run(ctx context.Context, out terminal, flags *adminCommand) error {
	a, err := flags.connect(out)
	if err != nil {
		return err
	}
	var l struct {
		UUID, SerialNumber, VendorName, OwnerID, OrgID, CreatedAt, Timestamp string
		Version                                                              int64
		Device                                                               struct {
			Online               bool
			Firmware, Bolt, Door string
			Battery              int
		}
	}
	if done, err := a.call(ctx, http.MethodGet, c.path("details"), nil, &l); done || err != nil {
		return err
	}
	device := "offline"
	if l.Device.Online {
		device = fmt.Sprintf("online, firmware %s, bolt %s, door %s, battery %d %%", or(l.Device.Firmware, "?"), or(l.Device.Bolt, "?"), or(l.Device.Door, "?"), l.Device.Battery)
	}
	return a.table([][]string{
		{"device", l.UUID}, {"", device}, {"serial number", or(l.SerialNumber, "-")}, {"vendor", or(l.VendorName, "-")},
		{"organisation", or(l.OrgID, "-")}, {"owner", or(l.OwnerID, "-")}, {"created", l.CreatedAt},
		{"changed", fmt.Sprintf("%s, version %d", l.Timestamp, l.Version)},
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
	if done, err := a.call(ctx, http.MethodPost, c.path("SetOrganization"), map[string]any{"orgId": c.Org}, new(struct{})); done || err != nil {
		return err
	}
	return a.say("Lock %d is %s's.", c.ID, c.Org)
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
	var answer struct{ Secret string }
	body := map[string]any{"graceSeconds": int64(c.Grace.Seconds())}
	if done, err := a.call(ctx, http.MethodPost, c.path("RotateDeviceSecret"), body, &answer); done || err != nil {
		return err
	}
	return a.say("The secret of lock %d's device, which is shown only now:\n\n  %s\n", c.ID, answer.Secret)
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
	body := map[string]any{"requestId": uuid.NewString()}
	if c.Reason != "" {
		body["reason"] = c.Reason
	}
	var answer struct{ Outcome, Message string }
	if done, err := a.call(ctx, http.MethodPost, c.path("OpenLock"), body, &answer); done || err != nil {
		return err
	}
	return a.say("Lock %d: %s", c.ID, strings.TrimSpace(answer.Outcome+". "+answer.Message))
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
	return a.export(ctx, c.path("events/export"), c.Cursor)
}

// maxExportedLine bounds one event: the largest record of the journal fits.
const maxExportedLine = 9 << 20

// export prints the lines of an export, in as many answers as the server needs.
func (a *admin) export(ctx context.Context, path, cursor string) error {
	for {
		complete, err := a.exportPart(ctx, path, &cursor)
		if err != nil {
			return fmt.Errorf("%w\nWhat was printed is whole; go on with --cursor %s", err, or(cursor, "''"))
		}
		if complete {
			return nil
		}
	}
}

func (a *admin) exportPart(ctx context.Context, path string, cursor *string) (complete bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	response, err := a.send(ctx, http.MethodGet, path+"?cursor="+url.QueryEscape(*cursor), nil)
	if err != nil {
		return false, err
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, maxExportedLine)
	for lines.Scan() {
		var line struct {
			Cursor   string
			Complete *bool
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return false, fmt.Errorf("the server sent a line that cannot be read: %w", err)
		}
		if line.Complete != nil {
			*cursor = line.Cursor
			return *line.Complete, nil
		}
		if _, err := a.out.Write(append(bytes.Clone(lines.Bytes()), '\n')); err != nil {
			return false, err
		}
		*cursor = line.Cursor
	}
	if err := lines.Err(); err != nil {
		return false, err
	}
	return false, errors.New("the answer was cut off")
}
