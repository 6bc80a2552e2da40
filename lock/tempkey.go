package lock

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// tempKeys holds the temporary keys of a lock, oldest first.
type tempKeys struct {
	list []*TempKey
	byID map[TempKeyID]*TempKey
	text int // bytes of what callers say of all of them
}

func (t *tempKeys) find(id TempKeyID) *TempKey { return t.byID[id] }

func (t *tempKeys) add(k *TempKey) {
	if t.byID == nil {
		t.byID = make(map[TempKeyID]*TempKey)
	}
	t.list = append(t.list, k)
	t.byID[k.UUID] = k
	t.text += k.text()
}

func (t *tempKeys) change(k *TempKey, c Changes) {
	t.text -= k.text()
	k.apply(c)
	t.text += k.text()
}

// The bytes of a schedule's parts, about as JSON has them.
const (
	ruleText  = 64
	dateText  = 16
	extraText = 64
)

// text is about how many bytes a key has that its creator chose.
func (k *TempKey) text() int {
	n := len(k.Description) + len(k.CreatedBy)
	for _, u := range k.AllowedUserIDs {
		n += len(u)
	}
	if s := k.Schedule; s != nil {
		n += len(s.Rules)*ruleText + len(s.Except)*dateText + len(s.Extra)*extraText
	}
	return n
}

func (t *tempKeys) remove(id TempKeyID) {
	if k := t.byID[id]; k != nil {
		t.text -= k.text()
	}
	delete(t.byID, id)
	t.list = slices.DeleteFunc(t.list, func(k *TempKey) bool { return k.UUID == id })
}

// MarshalJSON writes the list alone.
func (t tempKeys) MarshalJSON() ([]byte, error) {
	if len(t.list) == 0 {
		return []byte("[]"), nil
	}
	return json.Marshal(t.list)
}

// load takes what MarshalJSON wrote.
func (t *tempKeys) load(list []*TempKey) error {
	*t = tempKeys{}
	for _, k := range list {
		if k == nil {
			return errNull
		}
		t.add(k)
	}
	return nil
}

// TempKeyCount is how many temporary keys the lock has.
func (s *State) TempKeyCount() int { return len(s.TempKeys.list) }

func (s *State) createTempKey(c *CreateTempKey, now time.Time) (Decision, error) {
	if err := s.see(c.By); err != nil {
		return Decision{}, err
	}
	id, err := ParseTempKeyID(string(c.UUID))
	if err != nil {
		return Decision{}, err
	}
	k := TempKey{
		UUID: id, AccessMode: c.AccessMode, AllowedUserIDs: c.AllowedUserIDs,
		ValidFrom: millis(c.ValidFrom), ValidUntil: millis(c.ValidUntil), MaxUses: c.MaxUses,
		Schedule: c.Schedule.stored(), GraceBeforeSeconds: c.GraceBeforeSeconds, GraceAfterSeconds: c.GraceAfterSeconds,
		Description: c.Description, CreatedBy: c.By.Name(), CreatedAt: millis(now), Door: c.Door.ownedBy(c.By),
	}
	if err := CheckDescription(k.Description); err != nil {
		return Decision{}, err
	}
	if err := k.check(); err != nil {
		return Decision{}, err
	}
	if old := s.TempKeys.find(id); old != nil {
		if old.sameTerms(&k) {
			return s.unchanged()
		}
		return Decision{}, reject(Conflict, "temp-key-exists", "The lock has a temporary key with this tempKeyUuid and other terms. Use update-temp-key, or another UUID.")
	}
	if err := c.By.CheckNew(); err != nil {
		return Decision{}, err
	}
	if err := checkNew(string(id), "tempKeyUuid", "temp-key-uuid-invalid"); err != nil {
		return Decision{}, err
	}
	if err := s.checkDoor(&k, c.GrantBy, now); err != nil {
		return Decision{}, err
	}
	if len(s.TempKeys.list) >= maxTempKeys {
		return Decision{}, tooManyTempKeys()
	}
	if s.TempKeys.text+k.text() > maxTempKeyText {
		return Decision{}, tooMuchText()
	}
	return s.done(&TempKeyCreated{Stamp: s.stampBy(c.By, now), Key: k})
}

func tooManyTempKeys() *Error {
	return reject(Conflict, "too-many-temp-keys", "The lock has 10000 temporary keys, the most that it takes. Delete expired ones first.")
}

func tooMuchText() *Error {
	return reject(Conflict, "temp-keys-too-large", "The descriptions, users and schedules of the lock's temporary keys have 8 MiB together, the most that it takes. Delete expired keys first.")
}

// CheckDescription tells what is wrong with a key's description. It may have lines. A key from before some characters were refused
// may have them, so it is not looked at again as long as it stays.
func CheckDescription(s string) error {
	if !isText(s, maxDescription) {
		return invalid("description", "description-too-long", "description may have up to 2000 characters")
	}
	if turnsText(s) || strings.ContainsFunc(s, func(r rune) bool { return isControl(r) && !strings.ContainsRune("\t\n\r", r) }) {
		return invalid("description", "description-invalid", "description may have no control characters but tabs and line breaks, and none that turn the direction of text")
	}
	return nil
}

// check tells what is wrong with the terms of a key beside its description.
func (k *TempKey) check() error {
	switch k.AccessMode {
	case Public:
	case UserWhitelist:
		if len(k.AllowedUserIDs) == 0 {
			return invalid("allowedUserIds", "whitelist-empty", "a user-whitelist key needs at least one user in allowedUserIds, or nobody could open with it")
		}
	default:
		return invalid("accessMode", "access-mode-invalid", `accessMode must be "public" or "user-whitelist"`)
	}
	if len(k.AllowedUserIDs) > maxUsers {
		return invalid("allowedUserIds", "whitelist-too-long", "allowedUserIds may name up to 1000 users")
	}
	for _, u := range k.AllowedUserIDs {
		if !isName(string(u)) {
			return invalid("allowedUserIds", "user-id-invalid", "each of allowedUserIds must be a name of 1 to 800 bytes, without control characters")
		}
	}
	if !validYear(k.ValidFrom) {
		return invalid("validFrom", "instant-invalid", "validFrom must be in the years 1 to 9999 in UTC")
	}
	if !validYear(k.ValidUntil) {
		return invalid("validUntil", "instant-invalid", "validUntil must be in the years 1 to 9999 in UTC")
	}
	if !k.ValidFrom.Before(k.ValidUntil) {
		return invalid("validUntil", "window-empty", "validUntil must be later than validFrom, by a millisecond or more")
	}
	if err := k.checkHours(); err != nil {
		return err
	}
	if k.MaxUses != nil && (*k.MaxUses < 1 || *k.MaxUses > int64(MaxID)) {
		return invalid("maxUses", "max-uses-invalid", "maxUses must be a whole number from 1 to 9007199254740991, or null for no limit")
	}
	return nil
}

func validYear(t time.Time) bool { return t.Year() >= 1 && t.Year() <= 9999 }

// sameTerms tells whether two keys were asked for with the same words.
func (k *TempKey) sameTerms(o *TempKey) bool {
	return k.AccessMode == o.AccessMode && k.Description == o.Description &&
		slices.Equal(k.AllowedUserIDs, o.AllowedUserIDs) && equal(k.MaxUses, o.MaxUses) &&
		k.ValidFrom.Equal(o.ValidFrom) && k.ValidUntil.Equal(o.ValidUntil) && k.Schedule.equal(o.Schedule) &&
		k.GraceBeforeSeconds == o.GraceBeforeSeconds && k.GraceAfterSeconds == o.GraceAfterSeconds && k.Door.equal(o.Door)
}

func (s *State) updateTempKey(c *UpdateTempKey, now time.Time) (Decision, error) {
	if err := s.see(c.By); err != nil {
		return Decision{}, err
	}
	old := s.TempKeys.find(c.TempKeyID)
	if old == nil {
		return Decision{}, noTempKey()
	}
	if old.Door != nil {
		return Decision{}, partOfCollective()
	}
	if c.Changes == (Changes{}) {
		return Decision{}, invalid("", "nothing-to-change", "name at least one of validFrom, validUntil, schedule, graceBeforeSeconds, graceAfterSeconds, maxUses, allowedUserIds, accessMode, description")
	}
	if c.Changes.Description != nil {
		if err := CheckDescription(*c.Changes.Description); err != nil {
			return Decision{}, err
		}
	}
	changes := c.Changes.stored()
	next := *old
	next.apply(changes)
	if err := next.check(); err != nil {
		return Decision{}, err
	}
	if next.sameTerms(old) {
		// Whoever repeats an update waits as long as the one who made it.
		d, err := s.unchanged()
		s.waitOut(&d, &next, now)
		return d, err
	}
	if more := next.text() - old.text(); more > 0 && s.TempKeys.text+more > maxTempKeyText {
		return Decision{}, tooMuchText()
	}
	d, err := s.done(&TempKeyUpdated{Stamp: s.stampBy(c.By, now), TempKeyID: old.UUID, Changes: changes})
	s.withdraw(&d, &next, false, now)
	s.waitOut(&d, &next, now)
	return d, err
}

// stored brings the instants to the form in which they are stored.
func (c Changes) stored() Changes {
	if c.ValidFrom != nil {
		t := millis(*c.ValidFrom)
		c.ValidFrom = &t
	}
	if c.ValidUntil != nil {
		t := millis(*c.ValidUntil)
		c.ValidUntil = &t
	}
	if c.Schedule != nil {
		c.Schedule = &ScheduleChange{Schedule: c.Schedule.Schedule.stored()}
	}
	if c.AllowedUserIDs != nil && *c.AllowedUserIDs == nil {
		c.AllowedUserIDs = &[]UserID{} // a null in the journal would read as "not named"
	}
	return c
}

func (k *TempKey) apply(c Changes) {
	if c.ValidFrom != nil {
		k.ValidFrom = *c.ValidFrom
	}
	if c.ValidUntil != nil {
		k.ValidUntil = *c.ValidUntil
	}
	if c.Schedule != nil {
		k.Schedule = c.Schedule.Schedule
	}
	if c.GraceBeforeSeconds != nil {
		k.GraceBeforeSeconds = *c.GraceBeforeSeconds
	}
	if c.GraceAfterSeconds != nil {
		k.GraceAfterSeconds = *c.GraceAfterSeconds
	}
	if c.Description != nil {
		k.Description = *c.Description
	}
	if c.MaxUses != nil {
		k.MaxUses = c.MaxUses.Limit
	}
	if c.AllowedUserIDs != nil {
		k.AllowedUserIDs = *c.AllowedUserIDs
	}
	if c.AccessMode != nil {
		k.AccessMode = *c.AccessMode
	}
}

func (s *State) deleteTempKey(c *DeleteTempKey, now time.Time) (Decision, error) {
	if err := s.see(c.By); err != nil {
		return Decision{}, err
	}
	gone := TempKey{UUID: c.TempKeyID} // it covers nothing
	old := s.TempKeys.find(c.TempKeyID)
	if old != nil && !c.Door && !old.deletable(c.By) {
		return Decision{}, partOfCollective()
	}
	if old == nil {
		// "There is no such key" would tell whoever repeats a deletion too early that the door is safe.
		d, err := s.unchanged()
		if s.waitOut(&d, &gone, now); len(d.SafeAfter) == 0 {
			return Decision{}, noTempKey()
		}
		return d, err
	}
	d, err := s.done(&TempKeyDeleted{Stamp: s.stampBy(c.By, now), TempKeyID: c.TempKeyID})
	s.withdraw(&d, &gone, true, now)
	s.waitOut(&d, &gone, now)
	return d, err
}
