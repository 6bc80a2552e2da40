//go:build !planted

package planted

// Has reports false, so that the compiler leaves out what a bug would do.
func Has(Bug) bool { return false }
