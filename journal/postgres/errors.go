package postgres

import (
	"errors"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// notSent is an error that came before anything was asked of the database that could change it.
type notSent struct{ error }

func (e *notSent) Unwrap() error { return e.error }

// harmless tells whether a statement that failed has certainly not happened.
func harmless(err error) bool {
	var before *notSent
	if errors.As(err, &before) || pgconn.SafeToRetry(err) {
		return true
	}
	var answer *pgconn.PgError
	return errors.As(err, &answer) && answer.SeverityUnlocalized == "ERROR"
}

// poisoned tells whether PostgreSQL objects to what is in a statement: bad data, a constraint, a row too large.
func poisoned(err error) bool {
	var answer *pgconn.PgError
	if !errors.As(err, &answer) || answer.SeverityUnlocalized != "ERROR" {
		return false
	}
	switch answer.Code[:2] {
	case "22", "23", "54":
		return true
	}
	return false
}

// claimed tells whether another node has made a claim while the statement was on its way.
func claimed(err error) bool {
	var answer *pgconn.PgError
	return errors.As(err, &answer) && answer.Code == "23505" && strings.HasPrefix(answer.ConstraintName, "claims")
}

// disconnected tells whether a connection is of no use after an error: it is broken, or leads to the wrong server, or
// does not have our prepared statements any more.
func disconnected(err error) bool {
	var answer *pgconn.PgError
	if !errors.As(err, &answer) || answer.SeverityUnlocalized != "ERROR" {
		return true
	}
	switch answer.Code {
	case "25006", // read_only_sql_transaction
		"26000", "42P05", // an invalid or duplicate name of a prepared statement: a pooler is in between
		"0A000": // a cached plan that does not fit the tables any more
		return true
	}
	return false
}
