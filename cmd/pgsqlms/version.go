package main

import "runtime/debug"

// version is the module's version from the build: a tag, or a pseudo-version that
// names the commit.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
}
