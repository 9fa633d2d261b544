//go:build !failpoint

package failpoint

// Hit does nothing.
func Hit(string) {}

// Names is empty.
func Names() []string { return nil }
