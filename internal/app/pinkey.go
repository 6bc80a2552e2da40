package app

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/latchkey/latchkey/collective"
)

const pinKeyFile = "pin.key"

// pinKey finds the key that guards the PINs of doors: in the file that is given, or else in the data folder, where a server
// that has its journal to itself makes it. Servers that share a journal must share the key too, so it has to be given to
// them; without it the result is nil, and there are no PINs.
func pinKey(dataDir, file string, shared bool) ([]byte, error) {
	path := file
	if file == "" {
		path = filepath.Join(dataDir, pinKeyFile)
	}
	content, err := os.ReadFile(path)
	if file == "" && errors.Is(err, fs.ErrNotExist) {
		if shared {
			return nil, nil
		}
		return makePINKey(path)
	}
	if err != nil {
		return nil, fmt.Errorf("--pin-key-file: %w", err)
	}
	key, err := hex.DecodeString(strings.TrimSpace(string(content)))
	if err != nil || len(key) != collective.PINKeyBytes {
		return nil, fmt.Errorf("--pin-key-file: %s does not have 64 hexadecimal digits; `openssl rand -hex 32` makes them", path)
	}
	return key, nil
}

func makePINKey(path string) ([]byte, error) {
	key := make([]byte, collective.PINKeyBytes)
	_, _ = rand.Read(key) // it never fails
	if err := writeDurably(path, []byte(hex.EncodeToString(key)+"\n")); err != nil {
		return nil, fmt.Errorf("store the key of the PINs: %w", err)
	}
	return key, nil
}
