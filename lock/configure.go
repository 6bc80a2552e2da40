package lock

import "time"

// The bounds of a configuration.
const (
	minRelockMs = 500
	maxRelockMs = 10 * 60 * 1000
)

// Config is how the device should be set up. It is desired here and reported by the device, which is told on the way,
// and again whenever it comes back with another one. A Number is used once, unless a backup is restored.
type Config struct {
	Number   uint64 `json:"number"`   // 0: nobody has said anything, and the device does as it was made
	RelockMs int64  `json:"relockMs"` // how long the bolt stays open after an open
}

func (s *State) setConfig(c *SetConfig, now time.Time) (Decision, error) {
	if err := s.see(c.By); err != nil {
		return Decision{}, err
	}
	if c.RelockMs < minRelockMs || c.RelockMs > maxRelockMs {
		return Decision{}, invalid("relockMs", "relock-invalid", "relockMs must be a whole number from 500 to 600000 (10 minutes)")
	}
	if s.Config.Number != 0 && s.Config.RelockMs == c.RelockMs {
		return s.unchanged()
	}
	// A device that has served another lock, or this one before a backup of it was restored, may have one of a higher number. Within a
	// session it takes only those that are higher than its own.
	last := max(s.Version, s.Config.Number, s.Reported.Config, s.Device.Reported.Config)
	if last >= uint64(MaxID) {
		last = s.Version // the device makes it up
	}
	config := Config{Number: last + 1, RelockMs: c.RelockMs}
	d, err := s.done(&ConfigSet{Stamp: s.stampBy(c.By, now), Config: config})
	if s.Device.Connected {
		d.Effects = append(d.Effects, &SendConfig{Session: s.Device.Session, Config: config})
	}
	return d, err
}

// desired is the configuration that a device has to be told, nil when it has it.
func (s *State) desired(device *Device) *Config {
	if s.Config.Number == 0 || device.Reported.Config == s.Config.Number {
		return nil
	}
	config := s.Config
	return &config
}

// remind tells a device that lives on how it should be set up, if it has not said that it is.
func (s *State) remind(d *Decision, device *Device) {
	if config := s.desired(device); config != nil {
		d.Effects = append(d.Effects, &SendConfig{Session: device.Session, Config: *config})
	}
}

// answerConfig notes that the device has a configuration. A device that refuses keeps the one that it has, and its next Hello
// tells which that is.
func (s *State) answerConfig(c *AnswerConfig, now time.Time) (Decision, error) {
	if !s.current(c.Session) || c.Number != s.Config.Number || s.reported().Config == c.Number {
		return s.unchanged()
	}
	e := &ConfigApplied{Stamp: s.stamp("", now), Number: c.Number}
	return Decision{Events: []Event{e}, Reply: &Done{Version: s.Version + 1, Event: e}}, nil
}
