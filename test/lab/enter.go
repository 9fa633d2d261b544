package lab

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// nodeNamespaces in the order they are entered: the mount namespace last,
// because it changes what /proc shows.
var nodeNamespaces = []struct {
	name string
	flag int
}{
	{"net", unix.CLONE_NEWNET},
	{"ipc", unix.CLONE_NEWIPC},
	{"uts", unix.CLONE_NEWUTS},
	{"pid", unix.CLONE_NEWPID},
	{"mnt", unix.CLONE_NEWNS},
}

// inNamespacesOf runs fn on a thread that is in all the namespaces of a process:
// files are that process's, and what fn starts runs beside it.
func inNamespacesOf(pid int, fn func() error) error {
	return onThread(func() error {
		var fds []*os.File
		defer func() {
			for _, f := range fds {
				f.Close()
			}
		}()
		for _, ns := range nodeNamespaces {
			f, err := os.Open(fmt.Sprintf("/proc/%d/ns/%s", pid, ns.name))
			if err != nil {
				return fmt.Errorf("namespaces of the node: %w", err)
			}
			fds = append(fds, f)
		}
		// A thread that shares its root directory with others may not change it.
		if err := unix.Unshare(unix.CLONE_FS); err != nil {
			return fmt.Errorf("unshare: %w", err)
		}
		for i, ns := range nodeNamespaces {
			if err := unix.Setns(int(fds[i].Fd()), ns.flag); err != nil {
				return fmt.Errorf("entering the node's %s namespace: %w", ns.name, err)
			}
		}
		return fn()
	})
}
