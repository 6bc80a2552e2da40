package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// ExportedEvent is a line of an export. What its Event says depends on its Type; a TempKeyUsed, for one, has a TempKeyUsedData.
type ExportedEvent struct {
	Cursor   string `json:"cursor"`             // to go on after this event
	Position int64  `json:"position,omitempty"` // among all events of the server, in the export of an organisation
	EventRecord
}

// ExportEnd is where an answer has ended: the cursor to go on from, and whether that was all there is by now.
type ExportEnd struct {
	Cursor   string `json:"cursor"`
	Complete bool   `json:"complete"`
}

// ErrCutOff is the error of an export that came without its last line.
var ErrCutOff = errors.New("client: the export was cut off")

// ReadLockEvents gives a function what happened to a lock after a cursor, oldest first; without a cursor, all. It takes one answer, which has
// as much as the server reads in some seconds: as long as the end is not Complete there is more to read.
//
// The cursor of the end is where to go on with an error too: after the last event that the function has taken.
func (c *ClientWithResponses) ReadLockEvents(ctx context.Context, lock LockId, cursor string, take func(*ExportedEvent) error) (ExportEnd, error) {
	answer, err := c.ExportLockEvents(ctx, lock, &ExportLockEventsParams{Cursor: &cursor})
	return readExport(answer, err, cursor, take)
}

// ReadOrganizationEvents is ReadLockEvents for an organisation: its API keys, and its locks while they were its own.
func (c *ClientWithResponses) ReadOrganizationEvents(ctx context.Context, org OrgId, cursor string, take func(*ExportedEvent) error) (ExportEnd, error) {
	answer, err := c.ExportOrganizationEvents(ctx, org, &ExportOrganizationEventsParams{Cursor: &cursor})
	return readExport(answer, err, cursor, take)
}

func isExport(answer *http.Response) bool {
	return answer.StatusCode == http.StatusOK && strings.HasPrefix(answer.Header.Get("Content-Type"), "application/x-ndjson")
}

// readExport reads an answer line by line, so that one that was cut off is worth the lines that came whole.
func readExport(answer *http.Response, err error, cursor string, take func(*ExportedEvent) error) (ExportEnd, error) {
	end := ExportEnd{Cursor: cursor}
	if err != nil {
		return end, err
	}
	defer answer.Body.Close()
	if !isExport(answer) {
		return end, fmt.Errorf("client: the answer is no export: %s, %s", answer.Status, answer.Header.Get("Content-Type"))
	}
	for lines := bufio.NewReader(answer.Body); ; {
		line, err := lines.ReadBytes('\n')
		switch {
		case errors.Is(err, io.EOF):
			return end, ErrCutOff
		case err != nil:
			return end, fmt.Errorf("%w: %w", ErrCutOff, err)
		}
		var l struct {
			ExportedEvent
			Complete *bool `json:"complete"` // of the last line only
		}
		if err := json.Unmarshal(line, &l); err != nil {
			return end, fmt.Errorf("client: a line of the export cannot be read: %w", err)
		}
		if l.Complete != nil {
			return ExportEnd{l.Cursor, *l.Complete}, nil
		}
		if err := take(&l.ExportedEvent); err != nil {
			return end, err
		}
		end.Cursor = l.Cursor
	}
}
