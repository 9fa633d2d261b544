package pg

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"syscall"

	"pgsqlms/internal/command"
)

// Processes is what runs on the data directory.
type Processes struct {
	Postmaster   int   // process ID; 0 for none
	Stopped      bool  // the postmaster was stopped by a signal, state T
	Children     []int // of the postmaster
	Orphans      []int // server processes without a postmaster
	Frozen       []int // those of all these that were stopped by a signal
	SharedMemory bool  // the segment named in postmaster.pid is attached by somebody
}

// Running says whether anything of the data directory runs.
func (p Processes) Running() bool {
	return p.Postmaster != 0 || len(p.Orphans) > 0 || p.SharedMemory
}

// Processes finds what runs on the data directory, from /proc and
// postmaster.pid, without starting a process. A process belongs to it when it
// runs postgres, as the system user, with the data directory as its working
// directory; what postmaster.pid says alone proves nothing, for its process ID
// may be somebody else's by now. An error means that it cannot be told.
func (i *Instance) Processes() (Processes, error) {
	file, err := i.readPidFile()
	if err != nil && !tellsNothing(err) {
		return Processes{}, fmt.Errorf("cannot read postmaster.pid: %w", err)
	}
	found, err := i.serverProcesses()
	if err != nil {
		return Processes{}, err
	}
	p := i.arrange(found, file.PID)
	if p.SharedMemory, err = i.sharedMemoryInUse(file); err != nil {
		return Processes{}, fmt.Errorf("cannot tell whether shared memory is attached: %w", err)
	}
	return p, nil
}

// tellsNothing recognises a postmaster.pid that is missing, out of the user's
// reach, no file of PostgreSQL's, or on storage that fails. That proves nothing about
// the processes, and must not keep anybody from finding and stopping them.
func tellsNothing(err error) bool {
	return slices.ContainsFunc([]error{
		fs.ErrNotExist, fs.ErrPermission, syscall.ENOTDIR, syscall.ELOOP, ErrNotRegular, ErrTooLarge,
		syscall.EIO, syscall.ESTALE, // a disk, and NFS
		syscall.EUCLEAN, syscall.EBADMSG, // what ext4 and XFS say of damage: EFSCORRUPTED, EFSBADCRC
	}, func(known error) bool { return errors.Is(err, known) })
}

// serverProcesses collects the processes of the data directory. Where root may
// not look at other users' processes, as in a container without the capability
// SYS_PTRACE, the system user still may look at its own.
func (i *Instance) serverProcesses() (found []process, err error) {
	dir, err := i.dataDirectory()
	if err != nil {
		return nil, err
	}
	found, err = i.scan(dir)
	if errors.Is(err, errDenied) {
		err = i.asRunner(func() error {
			found, err = i.scan(dir)
			return err
		})
	}
	return found, err
}

// RunningAs lists the server processes of the data directory that are another user's than
// the system user's. Nothing is done as that user.
func (i *Instance) RunningAs(uid uint32) ([]int, error) {
	dir, err := i.dataDirectory()
	if err != nil {
		return nil, err
	}
	other := i.cfg
	other.RunsAs = &command.User{Name: fmt.Sprintf("with uid %d", uid), UID: uid}
	found, err := i.with(other).scan(dir)
	var pids []int
	for _, p := range found {
		pids = append(pids, p.pid)
	}
	return pids, err
}

func (i *Instance) scan(dir directory) ([]process, error) {
	pids, err := listPids(i.proc)
	if err != nil {
		return nil, fmt.Errorf("cannot list the processes: %w", err)
	}
	var found []process
	for _, pid := range pids {
		p, err := i.examine(pid, dir)
		var moved *MovedAwayError
		if errors.As(err, &moved) {
			return nil, moved
		}
		if err != nil {
			return nil, fmt.Errorf("process %d of user %s: %w", pid, i.runner().Name, err)
		}
		if p != nil {
			found = append(found, *p)
		}
	}
	return found, nil
}

func listPids(proc string) ([]int, error) {
	d, err := os.Open(proc)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil && pid > 0 {
			pids = append(pids, pid)
		}
	}
	if len(pids) == 0 { // not even ourselves: this is no /proc
		return nil, fmt.Errorf("%s shows no process, expected the proc file system", proc)
	}
	slices.Sort(pids)
	return pids, nil
}

// arrange tells the postmaster, what descends from it, and the rest apart.
func (i *Instance) arrange(found []process, pidInFile int) Processes {
	byPid := map[int]process{}
	for _, p := range found {
		byPid[p.pid] = p
	}
	master := i.postmaster(byPid, pidInFile)
	result := Processes{Postmaster: master, Stopped: byPid[master].stopped}
	for _, p := range found {
		if p.stopped {
			result.Frozen = append(result.Frozen, p.pid)
		}
		switch {
		case p.pid == master:
		case master != 0 && descends(byPid, p, master):
			result.Children = append(result.Children, p.pid)
		default:
			result.Orphans = append(result.Orphans, p.pid)
		}
	}
	return result
}

// postmaster picks it: the one postmaster.pid names, unless that one is the
// child of another; without such, the one that is nobody's child here and does
// not call itself a child, as backends left over do.
func (i *Instance) postmaster(byPid map[int]process, pidInFile int) int {
	isTop := func(p process) bool {
		_, inside := byPid[p.parent]
		return !inside
	}
	if p, found := byPid[pidInFile]; found && isTop(p) {
		return p.pid
	}
	best := 0
	for pid, p := range byPid {
		if isTop(p) && (best == 0 || pid < best) && !i.isChildTitle(pid) {
			best = pid
		}
	}
	return best
}

// descends says whether p was started by the postmaster or by one of its
// children, as a child of the archiver's is for the moment before it runs its
// command.
func descends(byPid map[int]process, p process, master int) bool {
	for range len(byPid) {
		if p.parent == master {
			return true
		}
		next, found := byPid[p.parent]
		if !found {
			return false
		}
		p = next
	}
	return false
}
