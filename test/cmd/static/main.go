// Command static checks that programs are what is to be packed: static binaries for the architecture they are named
// for, without failpoints. Its arguments are the architecture, as Go calls it, and the files.
package main

import (
	"debug/buildinfo"
	"debug/elf"
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"strings"
)

var machines = map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: static ARCHITECTURE FILE...")
		os.Exit(2)
	}
	code := 0
	for _, file := range os.Args[2:] {
		if err := check(file, os.Args[1]); err != nil {
			fmt.Fprintf(os.Stderr, "static: %s: %v\n", file, err)
			code = 1
		}
	}
	os.Exit(code)
}

// check finds out whether the file asks for a loader or for libraries, and what it was built with.
func check(file, arch string) error {
	machine, known := machines[arch]
	if !known {
		return fmt.Errorf("architecture %q: expected amd64 or arm64", arch)
	}
	f, err := elf.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	if f.Machine != machine {
		return fmt.Errorf("found a program for %v, expected %v", f.Machine, machine)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return fmt.Errorf("it asks for a loader, expected a static program: build it with CGO_ENABLED=0")
		}
	}
	libraries, err := f.ImportedLibraries()
	if err != nil {
		return err
	}
	if len(libraries) > 0 {
		return fmt.Errorf("it asks for %v, expected a static program", libraries)
	}
	info, err := buildinfo.ReadFile(file)
	if err != nil {
		return fmt.Errorf("what it was built with cannot be told: %w", err)
	}
	return checkTags(info)
}

// failpointTag is of a build that kills itself, or waits for its node to be killed, when a file says so.
const failpointTag = "failpoint"

func checkTags(info *debug.BuildInfo) error {
	for _, s := range info.Settings {
		if s.Key == "-tags" && slices.Contains(strings.Split(s.Value, ","), failpointTag) {
			return fmt.Errorf("it was built with -tags %s: that is for tests only", s.Value)
		}
	}
	return nil
}
