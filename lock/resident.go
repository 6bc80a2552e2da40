package lock

import (
	"cmp"
	"slices"
	"time"
)

// resident is the place of a user on the doorbell list, -1 for nobody.
func (s *State) resident(id UserID) int {
	return slices.IndexFunc(s.Residents, func(r Resident) bool { return r.UserID == id })
}

func (s *State) addResident(c *AddResident, now time.Time) (Decision, error) {
	if err := s.see(c.By); err != nil {
		return Decision{}, err
	}
	r := c.Resident
	if err := r.check(); err != nil {
		return Decision{}, err
	}
	known := s.resident(r.UserID)
	if known >= 0 { // what is not named stays: nobody could read a number that was lost
		r.Email = cmp.Or(r.Email, s.Residents[known].Email)
		r.Phone = cmp.Or(r.Phone, s.Residents[known].Phone)
		if s.Residents[known] == r {
			return s.unchanged()
		}
	}
	if known < 0 && len(s.Residents) >= maxResidents {
		return Decision{}, reject(Conflict, "too-many-residents", "The lock has 1000 residents, the most that it takes. Remove some first.")
	}
	// People who live together have one phone number: the second of them is not a new name of the first.
	if known >= 0 && c.ByPhone && s.Residents[known].Name != r.Name {
		e := reject(Conflict, "phone-shared", "The doorbell list has this phone number under another name. Name the resident by userId, or by an e-mail address of their own.")
		e.Field = "phoneNumber"
		return Decision{}, e
	}
	return s.done(&ResidentAdded{Stamp: s.stampBy(c.By, now), Resident: r})
}

// check tells what is wrong with an entry of the doorbell list.
func (r *Resident) check() error {
	if !isName(string(r.UserID)) {
		return invalid("userId", "user-id-invalid", "userId must name a user, in up to 800 bytes, without control characters")
	}
	if !isName(r.Name) {
		return invalid("name", "name-invalid", "name must have 1 to 800 bytes, without control characters")
	}
	if !isOptional(r.Email) {
		return invalid("email", "email-invalid", "email may have up to 800 bytes, without control characters")
	}
	if !isOptional(r.Phone) {
		return invalid("phoneNumber", "phone-invalid", "phoneNumber may have up to 800 bytes, without control characters")
	}
	return nil
}

// removeResident takes nobody off the list of whom it is not certain that they are meant.
func (s *State) removeResident(c *RemoveResident, now time.Time) (Decision, error) {
	if err := s.see(c.By); err != nil {
		return Decision{}, err
	}
	if c.UserID == "" && c.Email == "" && c.Phone == "" {
		return Decision{}, invalid("userId", "resident-required", "name the resident by userId, by email or by phoneNumber")
	}
	var found []Resident
	for _, r := range s.Residents {
		if (c.UserID == "" || r.UserID == c.UserID) && (c.Email == "" || r.Email == c.Email) && (c.Phone == "" || r.Phone == c.Phone) {
			found = append(found, r)
		}
	}
	switch len(found) {
	case 0:
		return Decision{}, reject(NotFound, "resident-not-found", "The lock has no such resident.")
	case 1:
		return s.done(&ResidentRemoved{Stamp: s.stampBy(c.By, now), Resident: found[0]})
	}
	return Decision{}, reject(Conflict, "residents-alike", "Several residents are listed under this address. Name the one who is meant by userId.")
}
