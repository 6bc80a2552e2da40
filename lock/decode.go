package lock

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// ErrNewer says that something stored has more to it than this program knows.
var ErrNewer = errors.New("the journal was written by a newer version of this program")

// Decode reads JSON of the journal. A field that this program does not know is ErrNewer: who dropped it would act on half of what was
// decided, such as a key without its hours, and might store that half again.
func Decode(data []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		if strings.HasPrefix(err.Error(), "json: unknown field ") { // encoding/json has no type for it
			return fmt.Errorf("%w: %w", ErrNewer, err)
		}
		return err
	}
	if d.InputOffset() != int64(len(bytes.TrimRight(data, " \t\r\n"))) {
		return errors.New("something comes after the JSON")
	}
	return nil
}
