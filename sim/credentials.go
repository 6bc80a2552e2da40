package sim

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// ReadCredentials reads a file of credentials: one JSON object a line, as WriteCredentials writes it.
func ReadCredentials(path string) ([]Credential, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("sim: credentials: %w", err)
	}
	defer f.Close()
	var list []Credential
	dec := json.NewDecoder(bufio.NewReader(f))
	dec.DisallowUnknownFields()
	for {
		var c Credential
		err := dec.Decode(&c)
		if errors.Is(err, io.EOF) {
			return list, nil
		}
		if err == nil && (c.LockID < 1 || c.LockUUID == "" || c.Secret == "") {
			err = errors.New("lockId, lockUuid and secret must be there")
		}
		if err != nil {
			return nil, fmt.Errorf("sim: credentials in %s, entry %d: %w", path, len(list)+1, err)
		}
		list = append(list, c)
	}
}

// WriteCredentials writes a file of credentials, which only its owner may read.
func WriteCredentials(path string, list []Credential) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("sim: credentials: %w", err)
	}
	w := bufio.NewWriter(f)
	enc := json.NewEncoder(w)
	for _, c := range list {
		if err = enc.Encode(c); err != nil {
			break
		}
	}
	if err = errors.Join(err, w.Flush(), f.Close()); err != nil {
		return fmt.Errorf("sim: credentials: %w", err)
	}
	return nil
}
