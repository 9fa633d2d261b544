package pg

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// process is one server process of this data directory.
type process struct {
	pid, parent int
	stopped     bool
}

// errDenied says that the kernel does not let us look at a process.
var errDenied = errors.New("not allowed to look at the process")

// directory is the identity of a directory, whatever path leads to it.
type directory struct {
	dev, inode uint64
	path       string // without links, for when it no longer exists
	exists     bool
}

// dataDirectory identifies the data directory, as the system user sees it, or
// as root does where the user may not even look.
func (i *Instance) dataDirectory() (d directory, err error) {
	identify := func() error { return d.identify(i.cfg.DataDir) }
	if err = i.asUser(identify); errors.Is(err, fs.ErrPermission) {
		err = identify()
	}
	if err != nil {
		return d, fmt.Errorf("cannot identify the data directory %s: %w", i.cfg.DataDir, err)
	}
	return d, nil
}

func (d *directory) identify(path string) error {
	d.path = linkless(path, maxLinks)
	var info syscall.Stat_t
	err := syscall.Stat(path, &info)
	switch {
	case err == nil:
		d.dev, d.inode, d.exists = uint64(info.Dev), info.Ino, true
		return nil
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.ELOOP):
		return nil
	}
	return err
}

// linkless follows the links of a path as far as they lead; its end may be missing. So the
// kernel names the directory of a process.
func linkless(path string, links int) string {
	if dir := filepath.Dir(path); dir != path {
		path = filepath.Join(linkless(dir, links), filepath.Base(path))
	}
	target, err := os.Readlink(path)
	if err != nil || links == 0 {
		return path
	}
	if !filepath.IsAbs(target) {
		target = filepath.Join(filepath.Dir(path), target)
	}
	return linkless(target, links-1)
}

// examine says whether process pid belongs to the data directory: it has the
// system user's uid, runs PostgreSQL's server program, and works there. The
// server changes into its data directory for good when it starts, and its
// children inherit that. nil means that it does not, or is gone. A process of
// the user's that cannot be looked at gives errDenied where the kernel does not
// let us, and what the file system says where that fails, as NFS does with ESTALE;
// one that was here before its directory was moved away gives a MovedAwayError.
//
// The working directory comes last, and only for a server of the user's: a look
// at it asks its file system, and one that is dead (an NFS server, the daemon of
// FUSE) never answers. Any process of the machine may stand in such a one.
func (i *Instance) examine(pid int, dir directory) (*process, error) {
	base := filepath.Join(i.proc, strconv.Itoa(pid))
	status, err := readStatus(base)
	if err != nil || status.uid != i.runner().UID || status.dead() {
		return nil, nil
	}
	program, err := os.Readlink(base + "/exe")
	if err != nil {
		return nil, i.unseen(base, err)
	}
	if !isServerProgram(program) {
		return nil, nil
	}
	works, err := i.worksIn(base, dir)
	if err != nil {
		return nil, i.unseen(base, err)
	}
	if !works {
		if works, err = i.movedAway(base, pid, dir); err != nil {
			return nil, i.unseen(base, err)
		}
	}
	if !works {
		return nil, nil
	}
	return &process{pid: pid, parent: status.parent, stopped: status.stopped()}, nil
}

// unseen judges why something cannot be known about a process of the system user's.
// One that is gone is none; of any other it cannot be told whether it is ours, and
// nobody may take it for another's. A server refuses to run as root, so none is hidden
// behind a process of root's, and root stands in for a user that does not exist.
func (i *Instance) unseen(base string, err error) error {
	var moved *MovedAwayError
	switch {
	case hasEnded(base):
		return nil
	case errors.As(err, &moved):
		return err
	case !errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("it cannot be told whether it works in %s: %w", i.cfg.DataDir, err)
	case i.runner().UID == 0:
		return nil
	}
	return errDenied
}

// hasEnded says whether the process is gone, or on its way: a program is the first thing
// that an exit takes from it, and its files and its directory come later (do_exit in the
// kernel's exit.c).
func hasEnded(base string) bool {
	_, err := os.Readlink(base + "/exe")
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH)
}

// worksIn compares identities, so that links, bind mounts and changed roots on
// the way do not matter. A directory that was removed under its server, and perhaps
// made anew, leaves only the path it had; where a link that led there is gone as well,
// or leads elsewhere by now, that server is not known for ours any more.
func (i *Instance) worksIn(base string, dir directory) (bool, error) {
	if dir.exists {
		var info syscall.Stat_t
		if err := i.stat(base+"/cwd", &info); err != nil {
			return false, err
		}
		if uint64(info.Dev) == dir.dev && info.Ino == dir.inode {
			return true, nil
		}
	}
	path, err := os.Readlink(base + "/cwd")
	return path == dir.path+deletedMark, err
}

// deletedMark is what the kernel adds to the path of a file or directory that
// was removed, for a program also when an upgrade replaced it.
const deletedMark = " (deleted)"

func isServerProgram(path string) bool {
	name := filepath.Base(strings.TrimSuffix(path, deletedMark))
	return name == "postgres" || name == "postmaster"
}

// processStatus is what /proc/N/status says, see proc_pid_status(5).
type processStatus struct {
	parent int
	uid    uint32 // effective
	state  byte
}

func (s processStatus) stopped() bool { return s.state == 'T' || s.state == 't' }
func (s processStatus) dead() bool    { return s.state == 'Z' || s.state == 'X' }

func readStatus(base string) (processStatus, error) {
	text, err := os.ReadFile(base + "/status")
	if err != nil {
		return processStatus{}, err
	}
	return parseStatusFile(string(text))
}

func parseStatusFile(text string) (processStatus, error) {
	values := labelled(text)
	field := func(label string, n int) string {
		if len(values[label]) == 0 {
			return ""
		}
		fields := strings.Fields(values[label][0])
		if n >= len(fields) {
			return ""
		}
		return fields[n]
	}
	parent, err := strconv.Atoi(field("PPid", 0))
	if err != nil {
		return processStatus{}, fmt.Errorf("process status without a parent: %w", err)
	}
	uid, err := strconv.ParseUint(field("Uid", 1), 10, 32) // real, effective, saved, file system
	if err != nil {
		return processStatus{}, fmt.Errorf("process status without a user: %w", err)
	}
	state := field("State", 0)
	if len(state) != 1 || state[0] < 'A' || state[0] > 'z' { // a letter, see proc(5)
		return processStatus{}, fmt.Errorf("process status without a state: %q", clip(state))
	}
	return processStatus{parent: parent, uid: uint32(uid), state: state[0]}, nil
}

// isChildTitle says whether the process calls itself a child of a postmaster:
// each sets its command line to "postgres: " and what it does.
func (i *Instance) isChildTitle(pid int) bool {
	f, err := os.Open(filepath.Join(i.proc, strconv.Itoa(pid), "cmdline"))
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, len(childTitle))
	n, _ := f.Read(head)
	return string(head[:n]) == childTitle
}

const childTitle = "postgres: "
