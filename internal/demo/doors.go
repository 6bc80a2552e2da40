package demo

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"
)

const (
	doorsFile    = "doors.json"
	flashFile    = "devices.jsonl"
	superKeyFile = "super-key"

	keyValidFor = 7 * 24 * time.Hour
	keyMaxUses  = 100
)

// door is one simulated lock with the key that a guest has for it. It is written down before the server hears of it, so that a
// demo that was killed in between goes on with the same lock and the same key.
type door struct {
	Name       string    `json:"name"`
	LockID     int64     `json:"lockId"`
	LockUUID   string    `json:"lockUuid"`
	Secret     string    `json:"secret,omitempty"` // of the device; empty until the server has given one
	TempKey    string    `json:"tempKeyUuid"`
	ValidFrom  time.Time `json:"validFrom"`
	ValidUntil time.Time `json:"validUntil"`
}

// newKey gives the door another key, valid from now on.
func (d *door) newKey(now time.Time) {
	d.TempKey = uuid.NewString()
	d.ValidFrom = now.UTC().Truncate(time.Second)
	d.ValidUntil = d.ValidFrom.Add(keyValidFor)
}

// doors reads the doors of an earlier demo, or makes three.
func doors(dir string) ([]*door, error) {
	content, err := os.ReadFile(filepath.Join(dir, doorsFile))
	if err == nil {
		var list []*door
		if err := json.Unmarshal(content, &list); err != nil {
			return nil, fmt.Errorf("demo: %s: %w", filepath.Join(dir, doorsFile), err)
		}
		return list, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("demo: %w", err)
	}
	list := []*door{
		{Name: "Front-door", LockID: 101},
		{Name: "Garden-gate", LockID: 102},
		{Name: "Apartment-7", LockID: 103},
	}
	for _, d := range list {
		d.LockUUID = uuid.NewString()
		d.newKey(time.Now())
	}
	return list, save(dir, list)
}

func save(dir string, list []*door) error {
	content, err := json.MarshalIndent(list, "", "  ")
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	return writeFile(filepath.Join(dir, doorsFile), append(content, '\n'))
}

// writeFile replaces a private file at once, so that a demo that is killed leaves the old one or the new one.
func writeFile(path string, content []byte) error {
	next := path + ".new"
	if err := os.WriteFile(next, content, 0o600); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	if err := os.Rename(next, path); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	return nil
}
