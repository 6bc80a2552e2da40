//go:build !linux

package main

// forget does nothing where the kernel's cache cannot be told to drop a file: there, cold means a new connection.
func forget(string) error { return nil }
