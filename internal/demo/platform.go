package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// maxAnswer bounds what is read of an answer.
const maxAnswer = 1 << 20

// platform calls the API as a property platform does.
type platform struct {
	server   string
	superKey string
	http     *http.Client
}

func (p platform) createLock(ctx context.Context, d *door) error {
	return p.call(ctx, d, http.MethodPost, "CreateLock",
		map[string]any{"index": d.LockID, "uuid": d.LockUUID, "serialNumber": d.Name, "vendorName": "Simulated"}, nil)
}

func (p platform) rotateSecret(ctx context.Context, d *door) (secret string, err error) {
	var answer struct {
		Secret string `json:"secret"`
	}
	err = p.call(ctx, d, http.MethodPost, "RotateDeviceSecret", map[string]any{"graceSeconds": 0}, &answer)
	return answer.Secret, err
}

func (p platform) createKey(ctx context.Context, d *door) error {
	return p.call(ctx, d, http.MethodPost, "create-temp-key", map[string]any{
		"tempKeyUuid": d.TempKey, "accessMode": "public", "maxUses": keyMaxUses, "description": "Demo guest",
		"validFrom": d.ValidFrom.Format(time.RFC3339), "validUntil": d.ValidUntil.Format(time.RFC3339),
	}, nil)
}

// keyStatus tells what the door's key is worth, and "" when the server has not got it.
func (p platform) keyStatus(ctx context.Context, d *door) (string, error) {
	var answer struct {
		TempKeys []struct{ UUID, Status string } `json:"tempKeys"`
	}
	if err := p.call(ctx, d, http.MethodGet, "temp-keys", nil, &answer); err != nil {
		return "", err
	}
	for _, k := range answer.TempKeys {
		if k.UUID == d.TempKey {
			return k.Status, nil
		}
	}
	return "", nil
}

// call does one operation on a door's lock.
func (p platform) call(ctx context.Context, d *door, method, operation string, body, answer any) error {
	url := fmt.Sprintf("%s/locks/%d/%s", p.server, d.LockID, operation)
	var content io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return fmt.Errorf("demo: %w", err)
		}
		content = bytes.NewReader(encoded)
	}
	request, err := http.NewRequestWithContext(ctx, method, url, content)
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	request.Header.Set("X-API-Key", p.superKey)
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := p.http.Do(request)
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	defer response.Body.Close()
	got, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("demo: %s: %w", url, err)
	}
	if response.StatusCode >= http.StatusMultipleChoices {
		return fmt.Errorf("demo: %s %s: %s: %s", method, url, response.Status, got)
	}
	if answer == nil {
		return nil
	}
	if err := json.Unmarshal(got, answer); err != nil {
		return fmt.Errorf("demo: %s: %w", url, err)
	}
	return nil
}
