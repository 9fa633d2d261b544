package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// Bind is a directory or file of the host, shown in a node or a sandbox.
type Bind struct {
	Host   string // path on the host
	Inside string // path in there; "" for the same
	Write  bool
}

// root describes what a machine has for its root directory.
type root struct {
	Tree     string // lower layer, never written to
	Upper    string // what the machine writes
	Work     string // overlay's own, beside Upper
	At       string // an empty directory of the host to build it at
	Hostname string
	Binds    []Bind
}

// runDirs are what the packages' boot time rules would make below /run.
var runDirs = []struct {
	path  string
	mode  os.FileMode
	owner string
}{
	{"/run/lock", 0o777 | os.ModeSticky, "root:root"},
	{"/run/resource-agents", 0o755 | os.ModeSticky, "root:root"},
	{"/run/crm", 0o750, "hacluster:haclient"},
	{"/run/postgresql", 0o775 | os.ModeSetgid, "postgres:postgres"},
}

// ownedDirs are directories that Pacemaker insists to find like this.
var ownedDirs = []struct {
	path  string
	mode  os.FileMode
	owner string
}{
	{"/var/lib/pacemaker/cib", 0o750, "hacluster:haclient"},
	{"/var/lib/pacemaker/pengine", 0o750, "hacluster:haclient"},
	{"/var/lib/pacemaker/blackbox", 0o750, "hacluster:haclient"},
	{"/var/lib/pacemaker/cores", 0o750, "hacluster:haclient"},
	{"/var/log/pacemaker", 0o770, "hacluster:haclient"},
	{"/var/log/corosync", 0o755, "root:root"},
}

// enter makes the root and moves the calling process, which must be alone in
// fresh mount, pid and uts namespaces, into it.
func (r root) enter() error {
	if err := mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	binds, err := r.resolveBinds()
	if err != nil {
		return err
	}
	opts := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", r.Tree, r.Upper, r.Work)
	if err := mount("overlay", r.At, "overlay", 0, opts); err != nil {
		return err
	}
	const old = "/mnt"
	if err := unix.PivotRoot(r.At, r.At+old); err != nil {
		return fmt.Errorf("pivot_root to %s: %w", r.At, err)
	}
	if err := os.Chdir("/"); err != nil {
		return err
	}
	if err := r.mountSystem(); err != nil {
		return err
	}
	for _, b := range binds {
		if err := b.mount(old); err != nil {
			return err
		}
	}
	if err := unix.Unmount(old, unix.MNT_DETACH); err != nil {
		return fmt.Errorf("leaving the host's root: %w", err)
	}
	if err := unix.Sethostname([]byte(r.Hostname)); err != nil {
		return fmt.Errorf("sethostname: %w", err)
	}
	return makeDirs()
}

// resolveBinds follows the host's symbolic links while they still mean what
// they mean on the host.
func (r root) resolveBinds() ([]Bind, error) {
	var out []Bind
	for _, b := range r.Binds {
		if b.Inside == "" {
			b.Inside = b.Host
		}
		host, err := filepath.EvalSymlinks(b.Host)
		if err != nil {
			return nil, fmt.Errorf("directory to show inside: %w", err)
		}
		b.Host = host
		out = append(out, b)
	}
	return out, nil
}

func (r root) mountSystem() error {
	steps := []struct {
		source, target, fstype string
		flags                  uintptr
		data                   string
	}{
		{"proc", "/proc", "proc", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, ""},
		{"sysfs", "/sys", "sysfs", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC | unix.MS_RDONLY, ""},
		{"tmpfs", "/dev", "tmpfs", unix.MS_NOSUID, "mode=0755"},
		{"tmpfs", "/run", "tmpfs", unix.MS_NOSUID | unix.MS_NODEV, "mode=0755"},
		{"tmpfs", "/tmp", "tmpfs", unix.MS_NOSUID | unix.MS_NODEV, "mode=1777"},
		{"devpts", "/dev/pts", "devpts", unix.MS_NOSUID | unix.MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5"},
		// corosync's and libqb's ring buffers live here and must not run out of room.
		{"tmpfs", "/dev/shm", "tmpfs", unix.MS_NOSUID | unix.MS_NODEV, "mode=1777,size=1g"},
	}
	for _, s := range steps {
		if err := os.MkdirAll(s.target, 0o755); err != nil {
			return err
		}
		if err := mount(s.source, s.target, s.fstype, s.flags, s.data); err != nil {
			return err
		}
	}
	return makeDevices()
}

func makeDevices() error {
	old := unix.Umask(0)
	defer unix.Umask(old)
	for name, minor := range map[string]uint32{"null": 3, "zero": 5, "full": 7, "random": 8, "urandom": 9} {
		if err := mknod("/dev/"+name, unix.Mkdev(1, minor)); err != nil {
			return err
		}
	}
	if err := mknod("/dev/tty", unix.Mkdev(5, 0)); err != nil {
		return err
	}
	for name, target := range map[string]string{
		"ptmx": "pts/ptmx", "fd": "/proc/self/fd",
		"stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2",
	} {
		if err := os.Symlink(target, "/dev/"+name); err != nil {
			return err
		}
	}
	return nil
}

func mknod(path string, dev uint64) error {
	if err := unix.Mknod(path, unix.S_IFCHR|0o666, int(dev)); err != nil {
		return fmt.Errorf("mknod %s: %w", path, err)
	}
	return nil
}

func makeDirs() error {
	for _, d := range append(runDirs, ownedDirs...) {
		uid, gid, err := lookupOwner(d.owner)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(d.path, 0o755); err != nil {
			return err
		}
		if err := os.Chown(d.path, uid, gid); err != nil {
			return err
		}
		if err := os.Chmod(d.path, d.mode); err != nil {
			return err
		}
	}
	return nil
}

func (b Bind) mount(host string) error {
	source := host + b.Host
	st, err := os.Stat(source)
	if err != nil {
		return err
	}
	if err := makeTarget(b.Inside, st.IsDir()); err != nil {
		return err
	}
	if err := mount(source, b.Inside, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return err
	}
	if b.Write {
		return nil
	}
	return mount("", b.Inside, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, "")
}

func makeTarget(path string, dir bool) error {
	if dir {
		return os.MkdirAll(path, 0o755)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return f.Close()
}

func mount(source, target, fstype string, flags uintptr, data string) error {
	if err := unix.Mount(source, target, fstype, flags, data); err != nil {
		return fmt.Errorf("mount %s %s on %s (%s): %w", fstype, source, target, data, err)
	}
	return nil
}

// lookupOwner finds "user:group" in the machine's own files.
func lookupOwner(owner string) (uid, gid int, err error) {
	name, group, err := splitOwner(owner)
	if err != nil {
		return 0, 0, err
	}
	u, err := user.Lookup(name)
	if err != nil {
		return 0, 0, err
	}
	g, err := user.LookupGroup(group)
	if err != nil {
		return 0, 0, err
	}
	if uid, err = strconv.Atoi(u.Uid); err != nil {
		return 0, 0, err
	}
	gid, err = strconv.Atoi(g.Gid)
	return uid, gid, err
}
