package demo

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/latchkey/latchkey/client"
)

// platform calls the API as a property platform does.
type platform struct{ api *client.ClientWithResponses }

func (p platform) createLock(ctx context.Context, d *door) error {
	device, err := uuid.Parse(d.LockUUID)
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	vendor := "Simulated"
	_, err = p.api.CreateLockWithResponse(ctx, d.LockID, client.CreateLockRequest{
		Index: d.LockID, Uuid: device, SerialNumber: &d.Name, VendorName: &vendor,
	})
	return inDemo(err)
}

func (p platform) rotateSecret(ctx context.Context, d *door) (secret string, err error) {
	atOnce := int64(0)
	answer, err := p.api.RotateDeviceSecretWithResponse(ctx, d.LockID, client.RotateDeviceSecretRequest{GraceSeconds: &atOnce})
	if err != nil {
		return "", inDemo(err)
	}
	if answer.JSON200 == nil {
		return "", errors.New("demo: RotateDeviceSecret gave no secret")
	}
	return answer.JSON200.Secret, nil
}

func (p platform) createKey(ctx context.Context, d *door) error {
	key, err := uuid.Parse(d.TempKey)
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	uses, description := int64(keyMaxUses), "Demo guest"
	_, err = p.api.CreateTempKeyWithResponse(ctx, d.LockID, client.CreateTempKeyRequest{
		TempKeyUuid: &key, AccessMode: client.Public, MaxUses: &uses, Description: &description, ValidFrom: d.ValidFrom, ValidUntil: d.ValidUntil,
	})
	return inDemo(err)
}

// keyStatus tells what the door's key is worth, and "" when the server has not got it.
func (p platform) keyStatus(ctx context.Context, d *door) (string, error) {
	answer, err := p.api.ListTempKeysWithResponse(ctx, d.LockID, nil)
	if err != nil {
		return "", inDemo(err)
	}
	if answer.JSON200 == nil {
		return "", errors.New("demo: the list of temporary keys did not come")
	}
	for _, k := range answer.JSON200.TempKeys {
		if k.Uuid == d.TempKey {
			return string(k.Status), nil
		}
	}
	return "", nil
}

func inDemo(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("demo: %w", err)
}
