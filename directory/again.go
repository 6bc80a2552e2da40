package directory

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/latchkey/latchkey/lock"
	"github.com/latchkey/latchkey/named"
)

// errOthers says that a name has led to a user of another organisation, of whom the caller learns nothing.
var errOthers = errors.New("directory: the name has led to a user of another organisation")

// again is the answer to a request that was carried out before: the user as it was then.
func (d *Directory) again(ctx context.Context, org lock.OrgID, before *named.Found) (user User, created bool, err error) {
	records, err := d.records(ctx, before.Stream, min(before.Version, maxRecords))
	if err != nil {
		return User{}, false, err
	}
	if user, _, err = userOf(before.Stream, records); err != nil {
		return User{}, false, err
	}
	var first record
	if err := json.Unmarshal(records[0].Data, &first); err != nil {
		return User{}, false, fmt.Errorf("directory: %s: %w", before.Stream, err)
	}
	if first.OrgID != org {
		return User{}, false, errOthers
	}
	return user, records[0].AppendID == before.AppendID, nil
}
