package lock

// check rejects callers whose names could not be stored.
func (c Caller) check() error {
	if !isOptional(string(c.OrgID)) || !isOptional(string(c.UserID)) {
		return badCaller()
	}
	return nil
}

// CheckNew rejects callers whose names nothing new may bear, since it reads as something else on a screen. Such names were good once: what
// bears one can still be seen and taken away, or what it opens would stay open for ever.
func (c Caller) CheckNew() error {
	if HasUnseen(string(c.OrgID)) || HasUnseen(string(c.UserID)) {
		return badCaller()
	}
	return nil
}

func badCaller() *Error {
	return reject(Forbidden, "caller-invalid", "The name of a user or an organisation may have up to 800 bytes, without control characters and those that turn the direction of text.")
}

// see rejects callers that may not know of the lock: neither the operator, nor its organisation, nor its owner.
func (s *State) see(c Caller) error {
	if err := c.check(); err != nil {
		return err
	}
	switch {
	case c.Super,
		c.OrgID != "" && c.OrgID == s.OrgID,
		c.UserID != "" && c.UserID == s.OwnerID:
		return nil
	}
	return noLock()
}

// eventsAfter is the version after which a caller who sees the lock may read its events. An organisation reads those since the lock became
// its own: what is before is the former tenant's, with names and addresses of people who have gone. The owner stays, and reads all.
func (s *State) eventsAfter(c Caller) uint64 {
	if c.Super || c.UserID != "" && c.UserID == s.OwnerID {
		return 0
	}
	return s.OrgSince - 1
}

// mayUse tells whether the caller is among those that a temporary key is for.
func (k *TempKey) mayUse(user UserID) bool {
	if k.AccessMode == Public {
		return true
	}
	if user == "" {
		return false
	}
	for _, u := range k.AllowedUserIDs {
		if u == user {
			return true
		}
	}
	return false
}
