package collective

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/lock"
)

// PINStream is the stream whose one record tells which key guards the PINs of a journal.
const PINStream = "pins"

const pinKeyChosen = "PINKeyChosen"

type chosen struct {
	Fingerprint []byte `json:"fingerprint"`
}

// ErrOtherKey says that the PINs of a journal were made under another key than this server has.
var ErrOtherKey = errors.New("the PINs in this journal were made under another key: give every server the one that made them")

// Adopt makes the journal remember the key, the first time, and from then on refuses another one with ErrOtherKey: under it no code
// would be right, and none could be shown.
func (p *PINs) Adopt(ctx context.Context, j journal.Journal) error {
	for range maxAttempts {
		records, err := j.Read(ctx, PINStream, 0, 1)
		if err != nil {
			return fmt.Errorf("collective: %w", err)
		}
		if len(records) == 1 {
			return p.compare(&records[0])
		}
		data, err := json.Marshal(chosen{p.fingerprint})
		if err != nil {
			return fmt.Errorf("collective: %w", err)
		}
		_, err = journal.Do(ctx, j, journal.Append{
			Stream: PINStream, ID: uuid.NewString(), Records: []journal.NewRecord{{Type: pinKeyChosen, Time: time.Now(), Data: data}},
		})
		if !errors.Is(err, journal.ErrConflict) && !errors.Is(err, journal.ErrUnknown) {
			return err
		}
	}
	return errors.New("collective: the journal did not say which key guards its PINs")
}

func (p *PINs) compare(r *journal.Record) error {
	fingerprint, err := ReadFingerprint(r)
	if err != nil {
		return fmt.Errorf("collective: %w", err)
	}
	if subtle.ConstantTimeCompare(fingerprint, p.fingerprint) != 1 {
		return ErrOtherKey
	}
	return nil
}

// ReadFingerprint reads the record of PINStream.
func ReadFingerprint(r *journal.Record) ([]byte, error) {
	var c chosen
	if r.Type != pinKeyChosen {
		return nil, fmt.Errorf("unknown record type %q: %w", r.Type, lock.ErrNewer)
	}
	if err := lock.Decode(r.Data, &c); err != nil {
		return nil, err
	}
	if len(c.Fingerprint) != fingerprintBytes {
		return nil, fmt.Errorf("a fingerprint of %d bytes", len(c.Fingerprint))
	}
	return c.Fingerprint, nil
}
