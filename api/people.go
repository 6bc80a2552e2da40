package api

import (
	"context"
	"errors"
	"net/http"

	"github.com/latchkey/latchkey/directory"
	"github.com/latchkey/latchkey/lock"
)

// Users is where an organisation's people are.
type Users interface {
	// Find gives the user of a contact. Nobody is a *lock.Error of the kind NotFound.
	Find(ctx context.Context, org lock.OrgID, c directory.Contact) (directory.User, error)
	FindOrCreate(ctx context.Context, org lock.OrgID, c directory.Contact, by lock.Caller) (user directory.User, created bool, err error)
}

// AddResidentResult tells of a person on the doorbell list.
type AddResidentResult struct {
	CommandResult
	UserID lock.UserID `json:"userId"`
	Email  string      `json:"email,omitempty"`
}

// RemoveResidentResult tells of a person who is off the doorbell list.
type RemoveResidentResult struct {
	CommandResult
	Email string `json:"email,omitempty"`
}

// ResidentList is the doorbell list.
type ResidentList struct {
	Residents []ListedResident `json:"residents"`
}

// ListedResident is a person on the doorbell list.
type ListedResident struct {
	UserID   lock.UserID `json:"userId"`
	Name     string      `json:"name"`
	Email    string      `json:"email,omitempty"`
	HasPhone bool        `json:"hasPhone"`
}

// User is a person in the directory.
type User struct {
	UserID    lock.UserID `json:"userId"`
	Email     string      `json:"email,omitempty"`
	HasPhone  bool        `json:"hasPhone"`
	CreatedAt string      `json:"createdAt"`
}

// AddResident puts a person on the doorbell list. Who is not named by a userId is looked up in the directory.
func (s *server) AddResident(w http.ResponseWriter, r *http.Request, id LockId) {
	var body AddResidentRequest
	var resident lock.Resident
	lockID, done, err := s.run(w, r, id, &body, func(id lock.ID) (_ lock.Command, err error) {
		resident = lock.Resident{UserID: lock.UserID(body.UserId), Name: body.Name}
		contact, err := contactOf(body.Email, body.PhoneNumber)
		if err != nil {
			return nil, err
		}
		resident.Email, resident.Phone = contact.Email, contact.Phone
		if resident.UserID == "" && !s.addedBefore(r, id, resident) {
			resident.UserID, err = s.resolve(r, id, body.Name, contact)
		}
		byPhone := body.UserId == "" && body.Email == ""
		return &lock.AddResident{By: callerOf(r), Resident: resident, ByPhone: byPhone}, err
	})
	if err != nil {
		s.fail(w, r, err)
		return
	}
	if e, ok := done.Event.(*lock.ResidentAdded); ok {
		resident = e.Resident
	}
	s.write(w, r, http.StatusOK, &AddResidentResult{commandResult(lockID, done.Version, done.Event), resident.UserID, resident.Email})
}

// addedBefore tells whether the lock knows the name of a request, for this resident or for something else: then nobody has to be looked
// up for it, or even made. A lock that does not know the name refuses the resident, who is no user yet, and remembers nothing.
func (s *server) addedBefore(r *http.Request, id lock.ID, resident lock.Resident) bool {
	if traceOf(r).named == nil {
		return false
	}
	done, err := ask[*lock.Done](r.Context(), s, id, &lock.AddResident{By: callerOf(r), Resident: resident})
	var rejection *lock.Error
	return err == nil && done.Event != nil || errors.As(err, &rejection) && rejection.Reason == lock.ErrKeyReused.Reason
}

var errForeignDirectory = &lock.Error{
	Kind: lock.Forbidden, Reason: "api-key-required", Field: "userId",
	Message: "The directory is the organisation's: who shows no API key of the lock's organisation has to name the resident by userId.",
}

// resolve finds or makes the user of a contact, for the organisation of the lock or the operator. An owner sees the lock too, and must
// learn nothing of who else is in the directory, nor write what others are found by.
func (s *server) resolve(r *http.Request, id lock.ID, name string, contact directory.Contact) (lock.UserID, error) {
	if name == "" {
		return "", badRequest("name-invalid", "name", "name must have 1 to 800 bytes, without control characters")
	}
	if contact == (directory.Contact{}) {
		return "", badRequest("resident-required", "userId", "name the resident by userId, by email or by phoneNumber")
	}
	info, err := ask[*lock.Info](r.Context(), s, id, &lock.GetLock{By: callerOf(r)})
	if err != nil {
		return "", err
	}
	// A lock of no organisation has the operator's directory, which is not that of a caller without one.
	if c := callerOf(r); !c.Super && (c.OrgID == "" || c.OrgID != info.OrgID) {
		return "", errForeignDirectory
	}
	user, _, err := s.Users.FindOrCreate(r.Context(), info.OrgID, contact, callerOf(r))
	return user.ID, err
}

// RemoveResident takes a person off the doorbell list.
func (s *server) RemoveResident(w http.ResponseWriter, r *http.Request, id LockId) {
	var body RemoveResidentRequest
	lockID, done, err := s.run(w, r, id, &body, func(lock.ID) (lock.Command, error) {
		contact, err := contactOf(body.Email, body.PhoneNumber)
		return &lock.RemoveResident{By: callerOf(r), UserID: lock.UserID(body.UserId), Email: contact.Email, Phone: contact.Phone}, err
	})
	if err != nil {
		s.fail(w, r, err)
		return
	}
	result := RemoveResidentResult{CommandResult: commandResult(lockID, done.Version, done.Event)}
	if e, ok := done.Event.(*lock.ResidentRemoved); ok {
		result.Email = e.Resident.Email
	}
	s.write(w, r, http.StatusOK, &result)
}

// contactOf brings addresses to the form in which they are compared. Both may be empty.
func contactOf(email, phone string) (c directory.Contact, err error) {
	if email != "" {
		if c.Email, err = directory.NormalEmail(email); err != nil {
			return c, err
		}
	}
	if phone != "" {
		c.Phone, err = directory.NormalPhone(phone)
	}
	return c, err
}

// ListResidents shows the doorbell list.
func (s *server) ListResidents(w http.ResponseWriter, r *http.Request, id LockId) {
	i, err := s.info(r, id)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	list := ResidentList{Residents: make([]ListedResident, len(i.Residents))}
	for n, p := range i.Residents {
		list.Residents[n] = ListedResident{UserID: p.UserID, Name: p.Name, Email: p.Email, HasPhone: p.Phone != ""}
	}
	s.write(w, r, http.StatusOK, &list)
}

var errOrganization = &lock.Error{Kind: lock.Forbidden, Reason: "api-key-required", Message: "The directory is an organisation's: this takes its API key, or the super key."}

// directoryOf is the organisation whose people the caller may ask about.
func directoryOf(r *http.Request) (lock.OrgID, error) {
	c := callerOf(r)
	if c.OrgID == "" && !c.Super {
		return "", errOrganization
	}
	return c.OrgID, nil
}

// FindUser finds the user of an e-mail address.
func (s *server) FindUser(w http.ResponseWriter, r *http.Request, params FindUserParams) {
	org, err := directoryOf(r)
	if err == nil && params.Email == "" {
		err = badRequest("parameter-missing", "email", "email is required")
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	user, err := s.Users.Find(r.Context(), org, directory.Contact{Email: params.Email})
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.write(w, r, http.StatusOK, userOf(user))
}

// FindOrCreateUser finds the user of an e-mail address, or makes one.
func (s *server) FindOrCreateUser(w http.ResponseWriter, r *http.Request) {
	org, err := directoryOf(r)
	var body FindOrCreateUserRequest
	if err == nil {
		err = s.readBody(w, r, &body)
	}
	if err == nil && body.Email == "" {
		err = badRequest("email-invalid", "email", "email must be an address such as ann@example.org")
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	user, created, err := s.Users.FindOrCreate(underOwnName(r), org, directory.Contact{Email: body.Email, Phone: body.PhoneNumber}, callerOf(r))
	if err != nil {
		s.fail(w, r, err)
		return
	}
	status := http.StatusOK
	if created {
		status = http.StatusCreated
	}
	s.write(w, r, status, userOf(user))
}

func userOf(u directory.User) *User {
	return &User{UserID: u.ID, Email: u.Email, HasPhone: u.Phone != "", CreatedAt: lock.Instant(u.CreatedAt)}
}
