package sim

import (
	"slices"

	"github.com/latchkey/latchkey/transport/wire"
)

// The table of permanent keys and the configuration are in the flash too.

// keyLine is one change of the table.
type keyLine struct {
	Key
	Removed bool `json:"removed,omitempty"`
}

func (f *Flash) hasKey(uuid string) bool {
	return slices.ContainsFunc(f.keys, func(k Key) bool { return k.UUID == uuid })
}

// putKey puts a key into the table, in the place of any with its UUID or its number.
func (f *Flash) putKey(k Key) error {
	f.applyKey(keyLine{Key: k})
	return f.save(flashLine{Key: &keyLine{Key: k}})
}

func (f *Flash) removeKey(uuid string) error {
	l := keyLine{Key: Key{UUID: uuid}, Removed: true}
	f.applyKey(l)
	return f.save(flashLine{Key: &l})
}

func (f *Flash) applyKey(l keyLine) {
	f.keys = slices.DeleteFunc(f.keys, func(k Key) bool {
		return k.UUID == l.UUID || !l.Removed && k.Index != nil && l.Index != nil && *k.Index == *l.Index
	})
	if !l.Removed {
		f.keys = append(f.keys, l.Key)
	}
	if len(f.keys) == 0 {
		f.keys = nil
	}
}

func (f *Flash) setConfig(c wire.Config) error {
	f.config = c
	return f.save(flashLine{Config: &c})
}
