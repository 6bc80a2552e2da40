package app

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const (
	superKeyMinLength = 32
	superKeyHashFile  = "super-key.sha256"
	privateFile       = 0o600
	privateFolder     = 0o700
)

// superKey finds the SHA-256 of the operator's super key. A key that is given (as a file, else as a value) wins and is
// not stored. Without one the hash of the key that an earlier start made is read; if there is none yet, a key is made and
// returned, to be shown this once and stored then.
func superKey(dataDir, file, value string) (hash []byte, made string, err error) {
	given, source := value, "LATCHKEY_SUPER_KEY"
	if file != "" {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, "", fmt.Errorf("--super-key-file: %w", err)
		}
		given, source = string(content), "--super-key-file "+file
	}
	if file != "" || value != "" {
		given = strings.TrimSpace(given)
		if len(given) < superKeyMinLength {
			return nil, "", fmt.Errorf("%s: the super key has %d characters and needs at least %d; `openssl rand -hex 32` makes a good one",
				source, len(given), superKeyMinLength)
		}
		return hashKey(given), "", nil
	}

	path := filepath.Join(dataDir, superKeyHashFile)
	stored, err := os.ReadFile(path)
	if err == nil {
		hash, err := hex.DecodeString(strings.TrimSpace(string(stored)))
		if err != nil || len(hash) != sha256.Size {
			return nil, "", fmt.Errorf("%s is damaged: remove it, and the next start makes a new super key; or give one with --super-key-file", path)
		}
		return hash, "", nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, "", fmt.Errorf("super key: %w", err)
	}
	made = rand.Text() + rand.Text()
	return hashKey(made), made, nil
}

// TellSuperKey writes the super key, if this start made one, and then stores its hash: a key that was stored and never shown,
// because the start failed or was killed, would lock the operator out.
func (a *App) TellSuperKey(w io.Writer) error {
	if a.madeKey == "" {
		return nil
	}
	path := filepath.Join(a.options.Config.DataDir, superKeyHashFile)
	if _, err := fmt.Fprintf(w, "This server's super key, which is shown only now (its SHA-256 is in %s):\n\n  %s\n\n", path, a.madeKey); err != nil {
		return fmt.Errorf("show the super key: %w", err)
	}
	if err := writeDurably(path, []byte(hex.EncodeToString(hashKey(a.madeKey))+"\n")); err != nil {
		return fmt.Errorf("store the super key: %w", err)
	}
	a.madeKey = ""
	return nil
}

func hashKey(key string) []byte {
	sum := sha256.Sum256([]byte(key))
	return sum[:]
}

// writeDurably writes a private file so that it is there whole after a crash, or not at all.
func writeDurably(path string, content []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // with mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close(), os.Remove(f.Name()))
		}
	}()
	if _, err := f.Write(content); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
