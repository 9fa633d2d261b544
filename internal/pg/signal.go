package pg

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
)

// ShutdownMode is how a server ends.
type ShutdownMode string

// The modes, see pg_ctl(1).
const (
	Fast      ShutdownMode = "fast"      // ends the sessions and writes a checkpoint
	Immediate ShutdownMode = "immediate" // ends at once; the next start recovers
	Kill      ShutdownMode = "kill"      // the kernel ends every process; the next start recovers
)

// signal is what the postmaster understands as this mode, see postgres(1).
func (m ShutdownMode) signal() (syscall.Signal, error) {
	switch m {
	case Fast:
		return syscall.SIGINT, nil
	case Immediate:
		return syscall.SIGQUIT, nil
	case Kill:
		return syscall.SIGKILL, nil
	}
	return 0, fmt.Errorf("no shutdown mode %q, expected fast, immediate or kill", string(m))
}

// Shutdown tells the postmaster to end, and does not wait for it. Without a
// postmaster it does nothing. Processes stopped by SIGSTOP are woken, for they
// would not hear otherwise, and the postmaster waits for its children. With Kill
// the children are told as well: they notice only at their next wait that it is
// gone.
//
// It needs neither BinDir nor a readable configuration: the signal goes to the
// process that Processes found, whatever postmaster.pid says.
func (i *Instance) Shutdown(_ context.Context, mode ShutdownMode) error {
	signal, err := mode.signal()
	if err != nil {
		return err
	}
	found, err := i.Processes()
	if err != nil || found.Postmaster == 0 {
		return err
	}
	if err := i.tell(signal, found.Postmaster); err != nil {
		return err
	}
	if mode == Kill {
		return i.tell(signal, found.Children...)
	}
	return i.tell(syscall.SIGCONT, found.Frozen...)
}

// KillOrphans ends the server processes that no postmaster supervises, and
// does not wait for them. They keep a new postmaster from starting, and a lost
// postmaster has already cost them their shared memory: there is nothing left
// that an orderly end would save.
func (i *Instance) KillOrphans(_ context.Context) error {
	found, err := i.Processes()
	if err != nil {
		return err
	}
	return i.tell(syscall.SIGKILL, found.Orphans...)
}

// Reload tells the server to read its configuration files again.
func (i *Instance) Reload(_ context.Context) error {
	found, err := i.Processes()
	if err != nil {
		return err
	}
	if found.Postmaster == 0 {
		return fmt.Errorf("no server runs on %s to reload", i.cfg.DataDir)
	}
	return i.tell(syscall.SIGHUP, found.Postmaster)
}

// tell sends a signal to each of the processes, whatever befalls the others.
func (i *Instance) tell(signal syscall.Signal, pids ...int) error {
	var failed []error
	for _, pid := range pids {
		failed = append(failed, i.tellOne(signal, pid))
	}
	return errors.Join(failed...)
}

// tellOne sends a signal to a process of this data directory, and to no other. A
// handle on the process is taken first, and the process looked at through /proc
// afterwards: should it end in between and its ID be given to another, the
// handle still means the old one. A process that is gone needs no signal.
func (i *Instance) tellOne(signal syscall.Signal, pid int) error {
	handle, err := os.FindProcess(pid)
	if err != nil {
		return err
	}
	defer handle.Release() //nolint:errcheck // only forgets the handle
	ours, err := i.isOurs(pid)
	if err != nil || !ours {
		return err
	}
	err = handle.Signal(signal)
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot send signal %d (%s) to process %d: %w", int(signal), signal, pid, err)
	}
	return nil
}

func (i *Instance) isOurs(pid int) (ours bool, err error) {
	dir, err := i.dataDirectory()
	if err != nil {
		return false, err
	}
	look := func() error {
		p, err := i.examine(pid, dir)
		ours = p != nil
		return err
	}
	if err = look(); errors.Is(err, errDenied) {
		err = i.asRunner(look)
	}
	return ours, err
}
