//go:build !linux

package slack

// Take does nothing: only Linux has such a setting.
func Take() error { return nil }
