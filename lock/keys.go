package lock

import (
	"fmt"
	"slices"
	"time"
)

// A permanent key (a card, a fob) is in the lock's list, and in the table of the device, if the device keeps one. The
// list is never shorter than the table: a key that may open the door is in the list, or on its way into it. So a key is
// added to the list when the device has said that it has the key, and taken off it when the device has said that it has
// not. As long as no device was ever told of a key, the list is a record and nothing else, and changes by itself.

const (
	maxKeyIndex    = int64(MaxID)
	maxKeyCommands = 16              // on their way or unresolved
	keyResultsKept = 16              // of the commands that have ended
	keyLifetime    = 5 * time.Second // of a command about a key on its way to the device
)

// Presence is whether the device has a key in its table.
type Presence string

// What is known of it. Empty is "no": this device was never told of the key.
const (
	OnDevice      Presence = "yes"
	MaybeOnDevice Presence = "maybe" // the device was told, and its answer never came
)

// KeyAction is what a command about a key has the device do.
type KeyAction string

// The actions. Adding and writing leave the table the same: it has the key, and no other one under its UUID or its number.
const (
	ActionAddKey    KeyAction = "AddKey"
	ActionRemoveKey KeyAction = "RemoveKey"
	ActionWriteKey  KeyAction = "WriteKey"
)

// keyWork is what a lock has to do with the table of its device. Most locks have none, and it is nil.
type keyWork struct {
	Told     bool          `json:"told,omitempty"`     // the device was told of a key
	Commands []*KeyCommand `json:"commands,omitempty"` // on their way or unresolved, oldest first
	Ended    []*KeyCommand `json:"ended,omitempty"`    // the last ones, for those who wait for their end
	Jobs     []*bulkJob    `json:"jobs,omitempty"`     // oldest first
}

var noKeyWork keyWork // nobody changes it

// keys gives what there is to do, which may be nothing. Only Evolve changes it, by keyWork.
func (s *State) keys() *keyWork {
	if s.KeyWork == nil {
		return &noKeyWork
	}
	return s.KeyWork
}

// checkKey tells what is wrong with a key, whose fields have these names in the request.
func checkKey(k Key, uuid, index string) *Error {
	if !isName(k.UUID) {
		return invalid(uuid, "key-uuid-invalid", "a key must have a uuid of 1 to 800 bytes, without control characters")
	}
	if k.IndexNumber != nil && (*k.IndexNumber < 0 || *k.IndexNumber > maxKeyIndex) {
		return invalid(index, "key-index-invalid", "the index number of a key must be a whole number from 0 to 9007199254740991")
	}
	if !isOptional(string(k.UserID)) {
		return invalid("userId", "user-id-invalid", "the userId of a key must be a name of up to 800 bytes, without control characters")
	}
	return nil
}

// overlap tells whether two keys have the same UUID or the same index number.
func overlap(a, b Key) bool {
	return a.UUID == b.UUID || a.IndexNumber != nil && b.IndexNumber != nil && *a.IndexNumber == *b.IndexNumber
}

// twice tells of which key before it a key of a request has the UUID or the index number; the fields have these names there.
func twice(keys []Key, i int, uuid, index string) *Error {
	if !clash(keys[:i], keys[i]) {
		return nil
	}
	before := slices.IndexFunc(keys[:i], func(o Key) bool { return overlap(o, keys[i]) })
	field := index
	if keys[before].UUID == keys[i].UUID {
		field = uuid
	}
	return invalid(field, "key-twice", fmt.Sprintf("keys[%d] has the %s of keys[%d]", i, field, before)).in("keys", i)
}

// clash tells whether one of the keys has the UUID or the index number of k.
func clash(keys []Key, k Key) bool {
	return slices.ContainsFunc(keys, func(o Key) bool { return overlap(o, k) })
}

func sameKey(a, b Key) bool {
	return a.UUID == b.UUID && a.UserID == b.UserID && equal(a.IndexNumber, b.IndexNumber)
}

// findKey finds the key that fits a UUID, an index number, or both.
func findKey(keys []Key, uuid string, index *int64) (Key, bool) {
	i := slices.IndexFunc(keys, func(k Key) bool {
		return (uuid == "" || k.UUID == uuid) && (index == nil || equal(k.IndexNumber, index))
	})
	if i < 0 {
		return Key{}, false
	}
	return keys[i], true
}

// keyPlan is how a change of a key is carried out.
type keyPlan uint8

const (
	inListOnly keyPlan = iota
	byDevice
)

// plan tells whether the device has to be told of a change. Once it has been, the list does not change without it.
func (s *State) plan() (keyPlan, error) {
	switch {
	case s.Device.Connected && s.Device.Keys:
		return byDevice, nil
	case !s.keys().Told:
		return inListOnly, nil
	case s.Device.Connected:
		return 0, keysUnsupported()
	default:
		return 0, deviceOffline()
	}
}

func deviceOffline() *Error {
	return reject(Offline, "device-offline", "The lock is not connected. Nothing was sent; try again when it is back.")
}

func keysUnsupported() *Error {
	return reject(Offline, "keys-unsupported", "The lock's firmware keeps no keys. Nothing was changed.")
}

func keyExists() *Error {
	return reject(Conflict, "key-exists", "The lock has another key with this keyUuid or keyIndexNumber. Remove that one first.")
}

func tooManyKeys() *Error {
	return reject(Conflict, "too-many-keys", "The lock has 10000 keys, the most that it takes. Remove some first.")
}

func noKey() *Error { return reject(NotFound, "key-not-found", "The lock has no such key.") }

func (s *State) addKey(c *AddKey, now time.Time) (Decision, error) {
	if err := s.see(c.By); err != nil {
		return Decision{}, err
	}
	if err := checkKey(c.Key, "keyUuid", "keyIndexNumber"); err != nil {
		return Decision{}, err
	}
	key := c.Key
	key.OnDevice = ""
	if d, err := s.joinKey(ActionAddKey, key); d.Reply != nil || err != nil {
		return d, err
	}
	if k, ok := s.hasKey(key); ok {
		return s.keyUnchanged(ActionAddKey, k)
	}
	if err := s.mayAdd(key); err != nil {
		return Decision{}, err
	}
	plan, err := s.plan()
	if err != nil {
		return Decision{}, err
	}
	if plan == byDevice {
		return s.tellKey(ActionAddKey, key, s.stampBy(c.By, now), c.CommandID, now)
	}
	e := &KeyAdded{Stamp: s.stampBy(c.By, now), Key: key}
	return s.keyChanged(ActionAddKey, key, e), nil
}

// hasKey tells whether the list has exactly this key, and nothing is on its way that may take it off.
func (s *State) hasKey(key Key) (Key, bool) {
	i := slices.IndexFunc(s.Keys, func(k Key) bool { return sameKey(k, key) })
	if i < 0 || slices.ContainsFunc(s.keys().Commands, func(c *KeyCommand) bool { return c.Action == ActionRemoveKey && c.Key.UUID == key.UUID }) {
		return Key{}, false
	}
	return s.Keys[i], true
}

// mayAdd rejects a key that another one is in the way of, be it in the list or perhaps in the device's table.
func (s *State) mayAdd(key Key) error {
	inTheWay := func(k Key) bool { return overlap(k, key) && !sameKey(k, key) }
	if slices.ContainsFunc(s.Keys, inTheWay) ||
		slices.ContainsFunc(s.keys().Commands, func(c *KeyCommand) bool { return c.Action == ActionAddKey && inTheWay(c.Key) }) {
		return keyExists()
	}
	if len(s.Keys) >= maxKeys {
		return tooManyKeys()
	}
	text := len(key.UUID) + len(key.UserID)
	for i := range s.Keys {
		text += len(s.Keys[i].UUID) + len(s.Keys[i].UserID)
	}
	if text > maxKeyText {
		return reject(Conflict, "keys-too-large", "The names in the lock's keys have 4 MiB together, the most that it takes. Remove some first.")
	}
	return nil
}

func (s *State) removeKey(c *RemoveKey, now time.Time) (Decision, error) {
	if err := s.see(c.By); err != nil {
		return Decision{}, err
	}
	if c.KeyUUID == "" && c.IndexNumber == nil {
		return Decision{}, invalid("keyUuid", "key-required", "name the key by keyUuid or by keyIndexNumber")
	}
	key, listed := findKey(s.Keys, c.KeyUUID, c.IndexNumber)
	if !listed {
		// A key that nobody knows to be in the device can be removed as well: that is the way to make sure.
		var onTheWay []Key
		for _, cmd := range s.keys().Commands {
			onTheWay = append(onTheWay, cmd.Key)
		}
		var ok bool
		if key, ok = findKey(onTheWay, c.KeyUUID, c.IndexNumber); !ok {
			return Decision{}, noKey()
		}
	}
	if d, err := s.joinKey(ActionRemoveKey, key); d.Reply != nil || err != nil {
		return d, err
	}
	if listed && key.OnDevice == "" {
		return s.keyChanged(ActionRemoveKey, key, &KeyRemoved{Stamp: s.stampBy(c.By, now), Key: key}), nil
	}
	if err := s.reachable(); err != nil {
		return Decision{}, err
	}
	return s.tellKey(ActionRemoveKey, key, s.stampBy(c.By, now), c.CommandID, now)
}

func (s *State) writeKey(c *WriteKey, now time.Time) (Decision, error) {
	if err := s.see(c.By); err != nil {
		return Decision{}, err
	}
	if c.KeyUUID == "" {
		return Decision{}, invalid("keyUuid", "key-required", "name the key by keyUuid")
	}
	key, ok := findKey(s.Keys, c.KeyUUID, c.IndexNumber)
	if !ok {
		return Decision{}, noKey()
	}
	if d, err := s.joinKey(ActionWriteKey, key); d.Reply != nil || err != nil {
		return d, err
	}
	if err := s.reachable(); err != nil {
		return Decision{}, err
	}
	return s.tellKey(ActionWriteKey, key, s.stampBy(c.By, now), c.CommandID, now)
}

// reachable rejects what takes a device that is there and keeps keys.
func (s *State) reachable() error {
	switch {
	case !s.Device.Connected:
		return deviceOffline()
	case !s.Device.Keys:
		return keysUnsupported()
	}
	return nil
}

// keyUnchanged is the decision of a command that asked for what is already so.
func (s *State) keyUnchanged(action KeyAction, k Key) (Decision, error) {
	return Decision{Reply: &KeyResult{Version: s.Version, Action: action, Key: k, Outcome: Confirmed}}, nil
}

// keyChanged is the decision of a command that the device has no part in.
func (s *State) keyChanged(action KeyAction, k Key, e Event) Decision {
	return Decision{Events: []Event{e}, Reply: &KeyResult{Version: s.Version + 1, Action: action, Key: k, Event: e, Outcome: Confirmed}}
}

// unknownToDevices gives keys as they are before a device was told of them, whatever the caller says.
func unknownToDevices(keys []Key) []Key {
	keys = slices.Clone(keys)
	for i := range keys {
		keys[i].OnDevice = ""
	}
	return keys
}
