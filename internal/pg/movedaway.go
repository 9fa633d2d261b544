package pg

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// MovedAwayError is a server that was started for the data directory and works in
// another one: somebody has renamed it, or mounted another over it. It goes on and takes
// commits, whatever lies in the data directory's place by now. It is not known for sure to
// be the instance, so nobody signals it, and nobody may say that nothing runs.
type MovedAwayError struct {
	PID   int    // of its postmaster
	Works string // where it is; with " (deleted)" behind it when that was removed as well
}

func (e *MovedAwayError) Error() string {
	return fmt.Sprintf("its server %d works in %s: end that server, or move its directory back", e.PID, e.Works)
}

// movedAway gives a MovedAwayError where the process, which works elsewhere, is such a
// server. One that begins has come to the data directory meanwhile: it has arrived. A
// postmaster writes its own number and its data directory into the postmaster.pid there
// (CreateLockFile in miscinit.c), and ends itself once that is gone; until it has noticed,
// which takes it up to a minute, its command line still says what it was started with.
// Another instance names a directory of its own. And in another file system than ours, as
// in a container, the same path is another place.
//
// A child, which a busy instance has hundreds of, is not looked at: its postmaster is.
func (i *Instance) movedAway(base string, pid int, dir directory) (arrived bool, err error) {
	if i.isChildTitle(pid) {
		return false, nil
	}
	works, err := os.Readlink(base + "/cwd")
	if err != nil {
		return false, err
	}
	started := i.startedIn(base, pid)
	if strings.HasSuffix(works, deletedMark) {
		started = argumentD(base)
	}
	names := func(path string) bool { return started != "" && filepath.Clean(started) == filepath.Clean(path) }
	if !names(i.cfg.DataDir) && !names(dir.path) {
		return false, nil
	}
	if same, err := i.sameFiles(base); err != nil || !same {
		return false, err
	}
	if arrived, err = i.worksIn(base, dir); err != nil || arrived {
		return arrived, err
	}
	return false, &MovedAwayError{PID: pid, Works: works}
}

// startedIn is the data directory that the postmaster.pid where the process works names as
// this process's, or "". It is read as its user, who can write there.
func (i *Instance) startedIn(base string, pid int) (dir string) {
	_ = i.asRunner(func() error { // what cannot be read says nothing
		text, err := readRegular(base+"/cwd/postmaster.pid", maxSmallFile)
		if file := parsePidFile(string(text)); err == nil && file.PID == pid {
			dir = file.DataDir
		}
		return err
	})
	return dir
}

// argumentD is what the process was given with -D, or "". Most programs that start a server
// name the directory like that; from a relative path it could not be told.
func argumentD(base string) string {
	text, _ := os.ReadFile(base + "/cmdline")
	args := strings.Split(string(text), "\x00")
	if n := slices.Index(args, "-D"); n >= 0 && n+1 < len(args) {
		return args[n+1]
	}
	return ""
}

// sameFiles says whether paths mean the same to the process and to us: in a container, or
// with a root of its own, they do not.
func (i *Instance) sameFiles(base string) (bool, error) {
	for _, of := range []string{"/ns/mnt", "/root"} {
		theirs, err := os.Readlink(base + of)
		if err != nil {
			return false, err
		}
		if ours, err := os.Readlink(filepath.Join(i.proc, "self") + of); err != nil || ours != theirs {
			return false, err
		}
	}
	return true, nil
}
