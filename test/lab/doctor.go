package lab

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// need is a command of the host and the Debian package that has it.
type need struct{ command, pkg string }

var (
	labNeeds  = []need{{"ip", "iproute2"}}
	treeNeeds = []need{{"debootstrap", "debootstrap"}, {"mount", "mount"}, {"chroot", "coreutils"}}
)

// Requirements says what this machine lacks to run a lab, one thing per line;
// nothing when all is there.
func Requirements() []string {
	missing := sandboxRequirements(treeDir(DefaultSuite, nil))
	missing = append(missing, commandsMissing(labNeeds)...)
	if dir, err := cgroupMount(); err != nil {
		missing = append(missing, err.Error())
	} else if err := probeCgroup(dir); err != nil {
		missing = append(missing, err.Error())
	}
	return missing
}

// sandboxRequirements is what it takes to be in a root of a tree, and to make it first if it is not there.
func sandboxRequirements(tree string) []string {
	var missing []string
	if os.Geteuid() != 0 {
		missing = append(missing, "root: the lab makes namespaces, mounts and interfaces; run it as root (sudo)")
	}
	if err := staticSelf(); err != nil {
		missing = append(missing, err.Error())
	}
	if !exists(tree) {
		missing = append(missing, commandsMissing(treeNeeds)...)
	}
	return missing
}

func commandsMissing(needs []need) []string {
	var out []string
	for _, n := range needs {
		if _, err := exec.LookPath(n.command); err != nil {
			out = append(out, fmt.Sprintf("command %s (Debian package %s)", n.command, n.pkg))
		}
	}
	return out
}

// InstallHint is the command that brings the missing tools on a Debian, and a
// plain list elsewhere; empty when no tool is missing.
func InstallHint() string {
	var pkgs []string
	for _, n := range append(append([]need{}, labNeeds...), treeNeeds...) {
		if _, err := exec.LookPath(n.command); err != nil && !contains(pkgs, n.pkg) {
			pkgs = append(pkgs, n.pkg)
		}
	}
	if len(pkgs) == 0 {
		return ""
	}
	if _, err := exec.LookPath("apt-get"); err == nil {
		return "apt-get install -y " + strings.Join(pkgs, " ")
	}
	return "install, by your system's own means: " + strings.Join(pkgs, ", ")
}

func requirementsError(missing []string) error {
	text := "this machine cannot run a lab yet; missing:\n  " + strings.Join(missing, "\n  ")
	if hint := InstallHint(); hint != "" {
		text += "\n" + hint
	}
	return errors.New(text)
}

// probeCgroup finds out whether the kernel's cgroup v2 can freeze and kill,
// which only a cgroup below the root shows.
func probeCgroup(mount string) error {
	dir, err := os.MkdirTemp(mount, "pgsqlms-lab-probe-")
	if err != nil {
		return fmt.Errorf("a writable cgroup v2 hierarchy: %w", err)
	}
	defer os.Remove(dir)
	for _, f := range []string{"cgroup.freeze", "cgroup.kill"} {
		if !exists(filepath.Join(dir, f)) {
			return fmt.Errorf("a kernel of 5.14 or newer: %s is not in cgroup v2 here", f)
		}
	}
	return nil
}
