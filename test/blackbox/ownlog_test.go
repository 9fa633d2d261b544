package blackbox

import (
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
)

// PostgreSQL's first output goes below /var/log, which no environment changes. Where the test is root, the agent gets a
// directory of the script's for it, in a mount namespace of its own, so that the machine is left alone. Without root it
// cannot write there anyway, and goes without that output.

const ownLogName = "with-own-log"

// agentCommand is a call of the agent, not started yet.
func (w *world) agentCommand(i invocation) *exec.Cmd {
	args := i.arguments()
	starts := i.action == "start" || i.action == "demote"
	if !starts || !canHaveOwnLog() {
		cmd := exec.Command(agentPath(), args...)
		cmd.SysProcAttr = &syscall.SysProcAttr{}
		return cmd
	}
	cmd := exec.Command(ownLogName, append([]string{w.varLog(), agentPath()}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	return cmd
}

// withOwnLog is run in the new namespace: with-own-log DIRECTORY PROGRAM [ARGUMENT]... becomes the program.
func withOwnLog() {
	if err := syscall.Mount(os.Args[1], "/var/log", "", syscall.MS_BIND, ""); err != nil {
		die("mounting over /var/log: %v", err)
	}
	err := syscall.Exec(os.Args[2], os.Args[2:], os.Environ())
	die("%s: %v", os.Args[2], err)
}

// canHaveOwnLog: root in a container may lack the right to mount.
var canHaveOwnLog = sync.OnceValue(func() bool {
	if os.Geteuid() != 0 {
		return false
	}
	cmd := exec.Command(ownLogName, suiteDir, agentPath(), "methods")
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	if out, err := cmd.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "no mount namespace, the agent writes to /var/log/pgsqlms: %v: %s\n", err, out)
		return false
	}
	return true
})
