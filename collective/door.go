package collective

import (
	"errors"
	"fmt"

	"github.com/latchkey/latchkey/lock"
)

// ofDoor says of a lock's refusal which of the doors it is about. What is wrong with the terms is wrong with them at every door.
func ofDoor(d *Door, err error) error {
	var rejection *lock.Error
	if !errors.As(err, &rejection) || rejection.Kind == lock.Invalid {
		return err
	}
	named := *rejection
	named.Field, named.Message = fmt.Sprintf("doors[%d].lockId", d.Number-1), fmt.Sprintf("Lock %s: %s", d.LockID, rejection.Message)
	return &named
}
