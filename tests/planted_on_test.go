//go:build planted

package tests

// The program has the bug that the environment names.
func init() { buildFlags = append(buildFlags, "-tags=planted") }
