package sim

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/latchkey/latchkey/client"
)

const provisionParallel = 16 // locks at a time

// ProvisionOptions say which locks to make at a server.
type ProvisionOptions struct {
	Server   string // base URL of the API, such as http://127.0.0.1:8080
	SuperKey string
	Count    int
	// FirstID is the ID of the first lock; the others follow. The UUID of a lock depends on its ID alone, so that the
	// same locks are found again at the next start. 0: 1.
	FirstID int64
	OrgID   string        // the organisation that the locks are given to; empty: none
	Grace   time.Duration // how long the secrets of an earlier start stay good; 0: as the server does
	TempKey *TempKeyOptions
	Client  *http.Client // nil: http.DefaultClient
}

// TempKeyOptions ask for a public temporary key for each lock.
type TempKeyOptions struct {
	MaxUses  int64         // 0: as often as one likes
	Validity time.Duration // from now on; 0: 24 hours
}

func (o *ProvisionOptions) validate() error {
	orDefault(&o.FirstID, 1)
	orDefault(&o.Client, http.DefaultClient)
	o.Server = strings.TrimSuffix(o.Server, "/")
	switch {
	case o.Server == "":
		return errors.New("sim: provisioning needs the server's URL")
	case o.SuperKey == "":
		return errors.New("sim: provisioning needs the super key")
	case o.Count < 1 || o.FirstID < 1:
		return errors.New("sim: provisioning needs at least one lock, and IDs from 1")
	case o.TempKey != nil && (o.TempKey.MaxUses < 0 || o.TempKey.Validity < 0):
		return errors.New("sim: uses and validity of a temporary key must not be negative")
	}
	return nil
}

// Provisioned is a lock that is ready for its device.
type Provisioned struct {
	Credential
	TempKeyUUID string // empty when no key was asked for
	Link        string // the page of that key
}

// Provision creates locks, or finds those that an earlier call created, and gives each a new device secret.
// It refuses to touch a lock that exists with a UUID which is not its own: the secret of a real lock would be lost.
func Provision(ctx context.Context, o ProvisionOptions) ([]Provisioned, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	locks := make([]Provisioned, o.Count)
	api, err := client.New(client.Options{Server: o.Server, APIKey: o.SuperKey, HTTP: o.Client})
	if err != nil {
		return nil, fmt.Errorf("sim: %w", err)
	}
	g, inGroup := errgroup.WithContext(ctx)
	g.SetLimit(provisionParallel)
	for i := range locks {
		g.Go(func() error {
			if inGroup.Err() != nil {
				return inGroup.Err()
			}
			id := o.FirstID + int64(i)
			if err := provision(inGroup, api, id, &o, &locks[i]); err != nil {
				return fmt.Errorf("sim: provision lock %d: %w", id, err)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return locks, nil
}

// provision makes one lock. All its calls may be repeated.
func provision(ctx context.Context, api *client.ClientWithResponses, id int64, o *ProvisionOptions, lock *Provisioned) error {
	lock.LockID, lock.LockUUID = id, LockUUID(id)
	device, vendor := uuid.MustParse(lock.LockUUID), "simulated"
	_, err := api.CreateLockWithResponse(ctx, id, client.CreateLockRequest{Index: id, Uuid: device, VendorName: &vendor})
	if client.Refused(err, http.StatusConflict) {
		err = mustBeOurs(ctx, api, id, lock.LockUUID)
	}
	if err != nil {
		return err
	}
	var rotation client.RotateDeviceSecretRequest
	if o.Grace > 0 {
		seconds := int64(o.Grace.Seconds())
		rotation.GraceSeconds = &seconds
	}
	rotated, err := api.RotateDeviceSecretWithResponse(ctx, id, rotation)
	if err != nil {
		return err
	}
	if rotated.JSON200 == nil || rotated.JSON200.Secret == "" {
		return errors.New("RotateDeviceSecret gave no secret")
	}
	lock.Secret = rotated.JSON200.Secret
	if o.OrgID != "" {
		if _, err := api.SetOrganizationWithResponse(ctx, id, client.SetOrganizationRequest{OrgId: o.OrgID}); err != nil {
			return err
		}
	}
	if o.TempKey == nil {
		return nil
	}
	lock.TempKeyUUID = uuid.NewString()
	lock.Link = o.Server + "/temp-keys/" + lock.TempKeyUUID
	_, err = api.CreateTempKeyWithResponse(ctx, id, o.TempKey.request(lock.TempKeyUUID))
	return err
}

func mustBeOurs(ctx context.Context, api *client.ClientWithResponses, id int64, want string) error {
	info, err := api.GetBasicInfoWithResponse(ctx, id)
	if err != nil {
		return err
	}
	if info.JSON200 == nil {
		return errors.New("basic-info told nothing of the lock")
	}
	if info.JSON200.Uuid != want {
		return fmt.Errorf("the lock exists with the UUID %s, which is no simulated lock's; choose other lock IDs", info.JSON200.Uuid)
	}
	return nil
}

func (t *TempKeyOptions) request(id string) client.CreateTempKeyRequest {
	validity := t.Validity
	orDefault(&validity, 24*time.Hour)
	now, description, key := time.Now().UTC().Truncate(time.Millisecond), "made by latchkey sim", uuid.MustParse(id)
	r := client.CreateTempKeyRequest{
		TempKeyUuid: &key, AccessMode: client.Public, ValidFrom: now, ValidUntil: now.Add(validity), Description: &description,
	}
	if t.MaxUses > 0 {
		r.MaxUses = &t.MaxUses
	}
	return r
}

var lockNamespace = uuid.MustParse("5b1d7d0e-6c54-4f0f-9a43-6d1f5a2f8e21")

// LockUUID is the UUID of the simulated lock with an ID.
func LockUUID(lockID int64) string {
	return uuid.NewSHA1(lockNamespace, fmt.Appendf(nil, "lock/%d", lockID)).String()
}
