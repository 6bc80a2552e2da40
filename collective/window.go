package collective

import "time"

// checkWindow tells what is wrong with a key's window, in the form in which it is stored, as a lock would of its own keys: before anything is
// stored, and with the names of the request.
func checkWindow(from, until time.Time) error {
	switch {
	case from.Year() < 1 || from.Year() > 9999:
		return invalid("validFrom", "instant-invalid", "validFrom must be in the years 1 to 9999 in UTC")
	case until.Year() < 1 || until.Year() > 9999:
		return invalid("validUntil", "instant-invalid", "validUntil must be in the years 1 to 9999 in UTC")
	case !from.Before(until):
		return invalid("validUntil", "window-empty", "validUntil must be later than validFrom, by a millisecond or more")
	}
	return nil
}
