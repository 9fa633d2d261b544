package main

import "runtime/debug"

// packaged is the version of the package that this program is part of, set when it is
// built for one.
var packaged string

// version is the package's, or else the module's from the build: a tag, or a
// pseudo-version that names the commit.
func version() string {
	if packaged != "" {
		return packaged
	}
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
}
