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
	a := &apiClient{base: o.Server, key: o.SuperKey, http: o.Client}
	g, inGroup := errgroup.WithContext(ctx)
	g.SetLimit(provisionParallel)
	for i := range locks {
		g.Go(func() error {
			if inGroup.Err() != nil {
				return inGroup.Err()
			}
			id := o.FirstID + int64(i)
			if err := a.provision(inGroup, id, &o, &locks[i]); err != nil {
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

func (a *apiClient) provision(ctx context.Context, id int64, o *ProvisionOptions, lock *Provisioned) error {
	lock.LockID, lock.LockUUID = id, LockUUID(id)
	path := fmt.Sprintf("/locks/%d/", id)
	err := a.call(ctx, http.MethodPost, path+"CreateLock", map[string]any{"index": id, "uuid": lock.LockUUID, "vendorName": "simulated"}, nil)
	var ae *apiError
	if errors.As(err, &ae) && ae.Status == http.StatusConflict {
		err = a.mustBeOurs(ctx, path, lock.LockUUID)
	}
	if err != nil {
		return err
	}
	body := map[string]any{}
	if o.Grace > 0 {
		body["graceSeconds"] = int64(o.Grace.Seconds())
	}
	var rotated struct {
		Secret string `json:"secret"`
	}
	if err := a.call(ctx, http.MethodPost, path+"RotateDeviceSecret", body, &rotated); err != nil {
		return err
	}
	if rotated.Secret == "" {
		return errors.New("RotateDeviceSecret gave no secret")
	}
	lock.Secret = rotated.Secret
	if o.OrgID != "" {
		if err := a.call(ctx, http.MethodPost, path+"SetOrganization", map[string]any{"orgId": o.OrgID}, nil); err != nil {
			return err
		}
	}
	if o.TempKey == nil {
		return nil
	}
	lock.TempKeyUUID = uuid.NewString()
	lock.Link = o.Server + "/temp-keys/" + lock.TempKeyUUID
	return a.call(ctx, http.MethodPost, path+"create-temp-key", o.TempKey.body(lock.TempKeyUUID), nil)
}

func (a *apiClient) mustBeOurs(ctx context.Context, path, want string) error {
	var info struct {
		UUID string `json:"uuid"`
	}
	if err := a.call(ctx, http.MethodGet, path+"basic-info", nil, &info); err != nil {
		return err
	}
	if info.UUID != want {
		return fmt.Errorf("the lock exists with the UUID %s, which is no simulated lock's; choose other lock IDs", info.UUID)
	}
	return nil
}

func (t *TempKeyOptions) body(id string) map[string]any {
	validity := t.Validity
	orDefault(&validity, 24*time.Hour)
	now := time.Now().UTC().Truncate(time.Millisecond)
	body := map[string]any{
		"tempKeyUuid": id, "accessMode": "public", "validFrom": now, "validUntil": now.Add(validity), "description": "made by latchkey sim",
	}
	if t.MaxUses > 0 {
		body["maxUses"] = t.MaxUses
	}
	return body
}

var lockNamespace = uuid.MustParse("5b1d7d0e-6c54-4f0f-9a43-6d1f5a2f8e21")

// LockUUID is the UUID of the simulated lock with an ID.
func LockUUID(lockID int64) string {
	return uuid.NewSHA1(lockNamespace, fmt.Appendf(nil, "lock/%d", lockID)).String()
}
