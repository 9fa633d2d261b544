package pg

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
)

// ClearStaleLock removes a postmaster.pid that was left over and would keep the
// server from starting, and says whether it did. The server itself clears away
// a file whose process is gone. It gives up where the process ID was given to
// another process since, of the same user, as happens after a reboot of a
// machine with several instances; and where the file is empty, as a power
// failure may leave it.
//
// Nothing is removed while any process, or the attached shared memory, of the
// data directory is there, nor where that cannot be told.
func (i *Instance) ClearStaleLock() (bool, error) {
	before, err := i.readFile("postmaster.pid", maxSmallFile)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("cannot read postmaster.pid: %w", err)
	}
	found, err := i.Processes()
	if err != nil || found.Running() || !i.blocksStart(parsePidFile(string(before)).PID) {
		return false, err
	}
	if err := i.asUser(func() error { return i.removeUnchanged(before) }); err != nil {
		return false, fmt.Errorf("cannot remove the stale postmaster.pid: %w", err)
	}
	return true, nil
}

// blocksStart says whether the server would take the file for another one's.
func (i *Instance) blocksStart(pid int) bool {
	if pid == 0 {
		return true
	}
	_, err := os.Stat(filepath.Join(i.proc, strconv.Itoa(pid)))
	return err == nil
}

// removeUnchanged removes postmaster.pid unless a server has written it anew.
func (i *Instance) removeUnchanged(before []byte) error {
	now, err := readRegular(i.path("postmaster.pid"), maxSmallFile)
	if err != nil {
		return err
	}
	if string(now) != string(before) {
		return errors.New("a server has just written it")
	}
	return os.Remove(i.path("postmaster.pid"))
}
