package pg

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// ClearStaleLock removes a postmaster.pid that was left over, and says whether it did.
// The server itself clears away a file whose process is gone. It gives up where the
// process ID was given to another process since, of the same user, as happens after a
// reboot of a machine with several instances; and where the file is empty, as a power
// failure may leave it. And a reboot that goes like the one before gives the new
// postmaster the old one's number: then the old file says "ready" of a server that has
// only begun (PostmasterStatus).
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
	if err != nil || found.Running() {
		return false, err
	}
	if err := i.asUser(func() error { return i.removeUnchanged(before) }); err != nil {
		return false, fmt.Errorf("cannot remove the stale postmaster.pid: %w", err)
	}
	return true, nil
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
