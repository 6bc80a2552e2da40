package lock

import (
	"bytes"
	"crypto/subtle"
	"slices"
	"time"
)

func (s *State) createLock(c *CreateLock, now time.Time) (Decision, error) {
	if !c.By.Super && c.By.OrgID == "" {
		return Decision{}, reject(Forbidden, "api-key-required", "Creating a lock takes the API key of an organisation, or the super key.")
	}
	if err := c.By.check(); err != nil {
		return Decision{}, err
	}
	uuid, err := checkLock(c)
	if err != nil {
		return Decision{}, err
	}
	if s.Exists() {
		if s.UUID == uuid && s.agrees(c) && (c.By.Super || s.madeBy(c.By.OrgID)) {
			return s.unchanged()
		}
		if c.By.OrgID != "" && c.By.OrgID == s.OrgID && !s.madeBy(c.By.OrgID) {
			return Decision{}, reject(Conflict, "lock-handed-over", "This lock was not created by your organisation, it was handed over to it, with all that it had. Look at its owner, residents, keys and temporary keys, "+
				"take away what you do not want, and give its device a new secret with RotateDeviceSecret and graceSeconds 0.")
		}
		return Decision{}, reject(Conflict, "lock-exists", "A lock with this ID exists already, and it is not as this request describes it. Choose another ID, or change the lock.")
	}
	if err := c.By.CheckNew(); err != nil {
		return Decision{}, err
	}
	if err := checkNew(string(uuid), "uuid", "uuid-invalid"); err != nil {
		return Decision{}, err
	}
	stamp := s.stampBy(c.By, now)
	stamp.LockUUID, stamp.OrgID = uuid, c.By.OrgID
	return s.done(&LockCreated{
		Stamp:  stamp,
		LockID: c.ID, Index: c.Index, SerialNumber: c.SerialNumber, VendorName: c.VendorName,
		OwnerID: c.OwnerID, Keys: unknownToDevices(c.Keys),
	})
}

// madeBy tells whether the organisation created the lock and has had it ever since. A lock that was handed over has whatever the
// organisation before put into it, so the next one must not hear that it has just created it.
func (s *State) madeBy(org OrgID) bool { return org != "" && org == s.OrgID && s.OrgSince == 1 }

// agrees tells whether the lock is as the request describes it: nothing in the request is otherwise by now.
func (s *State) agrees(c *CreateLock) bool {
	for _, k := range c.Keys {
		if !slices.ContainsFunc(s.Keys, func(o Key) bool { return sameKey(o, k) }) {
			return false
		}
	}
	return s.Index == c.Index && s.SerialNumber == c.SerialNumber && s.VendorName == c.VendorName &&
		(c.OwnerID == "" || c.OwnerID == s.OwnerID)
}

// checkLock tells what is wrong with a request to create a lock, and gives the UUID in its stored form.
func checkLock(c *CreateLock) (UUID, error) {
	if c.ID < 1 || c.ID > MaxID {
		return "", invalid("id", "lock-id-invalid", "the lock ID must be a whole number from 1 to 9007199254740991")
	}
	uuid, err := ParseUUID(string(c.UUID))
	if err != nil {
		return "", err
	}
	if c.Index < 1 {
		return "", invalid("index", "index-invalid", "index must be a whole number of 1 or more")
	}
	if !plainText(c.SerialNumber) {
		return "", invalid("serialNumber", "serial-number-invalid", "serialNumber may have up to 800 letters, digits and any of _.,@/:#=[]-")
	}
	if !plainText(c.VendorName) {
		return "", invalid("vendorName", "vendor-name-invalid", "vendorName may have up to 800 letters, digits and any of _.,@/:#=[]-")
	}
	if !isOptional(string(c.OwnerID)) {
		return "", invalid("ownerId", "user-id-invalid", "ownerId must be a name of up to 800 bytes, without control characters")
	}
	if len(c.Keys) > maxKeys {
		return "", invalid("keys", "too-many-keys", "a lock takes up to 10000 keys")
	}
	for i, k := range c.Keys {
		if err := checkKey(k, "uuid", "indexNumber"); err != nil {
			return "", err.in("keys", i)
		}
		if err := twice(c.Keys, i, "uuid", "indexNumber"); err != nil {
			return "", err
		}
	}
	return uuid, nil
}

// plainText tells whether s keeps to the letters that serial numbers and vendors may have.
func plainText(s string) bool {
	if len(s) > maxText {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if ('a' <= c && c <= 'z') || ('A' <= c && c <= 'Z') || ('0' <= c && c <= '9') {
			continue
		}
		if bytes.IndexByte([]byte("_.,@/:#=[]-"), c) < 0 {
			return false
		}
	}
	return true
}

func (s *State) setOwner(c *SetOwner, now time.Time) (Decision, error) {
	if err := s.see(c.By); err != nil {
		return Decision{}, err
	}
	if !isOptional(string(c.UserID)) {
		return Decision{}, invalid("userId", "user-id-invalid", "userId must name a user, in up to 800 bytes, without control characters, or be null for no owner")
	}
	if s.OwnerID == c.UserID {
		return s.unchanged()
	}
	return s.done(&OwnerSet{Stamp: s.stampBy(c.By, now), UserID: c.UserID})
}

func (s *State) setOrganization(c *SetOrganization, now time.Time) (Decision, error) {
	if err := s.see(c.By); err != nil {
		return Decision{}, err
	}
	if !c.By.Super && s.OrgID != "" && c.By.OrgID != s.OrgID {
		return Decision{}, reject(Forbidden, "organization-required", "Only the lock's own organisation, or the super key, can hand the lock to another organisation.")
	}
	if !isName(string(c.OrgID)) || c.OrgID != s.OrgID && HasUnseen(string(c.OrgID)) {
		return Decision{}, invalid("orgId", "org-id-invalid", "orgId must name an organisation, in up to 800 bytes, without control characters and those that turn the direction of text")
	}
	if s.OrgID == c.OrgID {
		return s.unchanged()
	}
	if c.Unknown && !c.By.Super { // a mistyped name would take the lock from everybody but the operator
		return Decision{}, reject(NotFound, "organization-not-found", "There is no such organisation. Look at its ID, or ask the server's operator to register it.")
	}
	e := &OrganizationSet{Stamp: s.stampBy(c.By, now), NewOrgID: c.OrgID, OldOrgID: s.OrgID}
	if e.OrgID = c.OrgID; s.OrgID == "" && c.By.usesKeyOfOthers(c.OrgID) {
		e.Via, e.From = "", "" // the next organisation reads the event as its own
	}
	var d Decision
	s.endJobs(&d, "organization-changed", s.stampBy(c.By, now)) // the next organisation gets no keys of this one
	d.Events = append(d.Events, e)
	d.Reply = &Done{Version: s.Version + count(d.Events), Event: e}
	return d, nil
}

func (s *State) rotateDeviceSecret(c *RotateDeviceSecret, now time.Time) (Decision, error) {
	if err := s.see(c.By); err != nil {
		return Decision{}, err
	}
	if len(c.Hash) != secretHashBytes {
		return Decision{}, invalid("", "secret-hash-invalid", "the hash of a device secret has 32 bytes")
	}
	if c.Grace < 0 || c.Grace > maxSecretGrace {
		return Decision{}, invalid("graceSeconds", "grace-invalid", "graceSeconds must be from 0 to 604800 (7 days)")
	}
	d, err := s.done(&DeviceSecretRotated{Stamp: s.stampBy(c.By, now), Hash: c.Hash, GraceUntil: millis(now.Add(c.Grace))})
	if c.Grace == 0 && s.Device.Connected {
		// Nobody can have the new secret yet. Whoever is connected came with one that is worth nothing from now on.
		session := s.Device.Session
		d.Events = append(d.Events, &DeviceDisconnected{Stamp: s.stamp("", now), Session: session})
		d.Effects = append(d.Effects, &CloseSession{Session: session, Cause: CauseCredentials})
	}
	return d, err
}

func (s *State) authenticateDevice(c *AuthenticateDevice, now time.Time) (Decision, error) {
	if c.Certified && c.UUID == s.UUID {
		return s.unchanged()
	}
	match := 0
	for _, secret := range s.Secrets {
		if secret.ValidUntil == nil || now.Before(*secret.ValidUntil) {
			match |= subtle.ConstantTimeCompare(secret.Hash, c.Hash)
		}
	}
	if match != 1 || c.UUID != s.UUID {
		return Decision{}, badCredentials()
	}
	return s.unchanged()
}

func badCredentials() *Error {
	return reject(Unauthentic, "device-credentials-invalid", "The lock UUID or its device secret is wrong.")
}

func equal[T comparable](a, b *T) bool { return a == b || a != nil && b != nil && *a == *b }
