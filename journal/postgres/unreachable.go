package postgres

import (
	"errors"

	"github.com/jackc/pgx/v5/pgconn"
)

// Unreachable tells whether Open failed because there is no server yet that can do the work: none that answers, one that still
// starts, one that has no connection left, one that waits for its standby, or one that is not the primary. Trying again may help then, and does not when the
// server has refused the user or the database.
func Unreachable(err error) bool {
	var answer *pgconn.PgError
	if errors.As(err, &answer) {
		switch answer.Code {
		case "57P01", "57P02", "57P03", "53300": // it is ended, or ends, or starts; too many connections
			return true
		}
		return false
	}
	var connecting *pgconn.ConnectError
	return errors.As(err, &connecting) || errors.Is(err, errNotPrimary) || errors.Is(err, errNoAnswer)
}
