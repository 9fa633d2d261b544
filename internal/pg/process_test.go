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
	"testing"

	"github.com/stretchr/testify/require"

	"pgsqlms/internal/command"
)

const pidFileSample = "4711\n/var/lib/postgresql/15/main\n1763700000\n5432\n/var/run/postgresql\nlocalhost\n  5432001    294912\nready   \n"

func TestParsePidFile(t *testing.T) {
	require.Equal(t, pidFile{
		PID: 4711, DataDir: "/var/lib/postgresql/15/main", Shared: sharedMemory{Key: 5432001, ID: 294912}, Status: StatusReady,
	}, parsePidFile(pidFileSample))
	nothing, main := pidFile{Shared: sharedMemory{ID: -1}}, "/var/lib/postgresql/15/main"
	for text, want := range map[string]pidFile{
		"":               nothing,
		"\n\n\n":         nothing,
		"garbage":        nothing,
		"0\n":            nothing,
		"-0\n":           nothing,
		"1e3\n":          nothing,
		"99999999999\n":  nothing,
		"4711":           {PID: 4711, Shared: sharedMemory{ID: -1}},
		"-4711\n/data\n": {PID: 4711, DataDir: "/data", Shared: sharedMemory{ID: -1}}, // a single-user server
		strings.Replace(pidFileSample, "ready   ", "stopping", 1):                        {PID: 4711, DataDir: main, Shared: sharedMemory{5432001, 294912}, Status: StatusStopping},
		strings.Replace(pidFileSample, "ready   ", "on fire ", 1):                        {PID: 4711, DataDir: main, Shared: sharedMemory{5432001, 294912}},
		strings.Replace(pidFileSample, "  5432001    294912", "         0         0", 1): {PID: 4711, DataDir: main, Shared: sharedMemory{0, 0}, Status: StatusReady},
		strings.Replace(pidFileSample, "  5432001    294912", "1 2 3", 1):                {PID: 4711, DataDir: main, Shared: sharedMemory{ID: -1}, Status: StatusReady},
		strings.Replace(pidFileSample, "294912", "-5", 1):                                {PID: 4711, DataDir: main, Shared: sharedMemory{ID: -1}, Status: StatusReady},
	} {
		require.Equal(t, want, parsePidFile(text), "%q", text)
	}
}

const shmSample = `       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid      atime      dtime      ctime                   rss                  swap
   5432001     294912   600                    56  4711  4800      7   101   104   101   104 1763700000 1763700100 1763700000                     0                     0
-559038737          5   600                    56  4711  4800      1   101   104   101   104 1763700000 1763700100 1763700000                     0                     0
   5432002          6   600                    56  4711  4800      0   101   104   101   104 1763700000 1763700100 1763700000                     0                     0
   5432004          7   600                    56     0     0      2   101   104   101   104 1763700000 1763700100 1763700000                     0                     0
`

func TestAttached(t *testing.T) {
	for _, c := range []struct {
		segment sharedMemory
		uid     uint32
		creator int
		want    int
	}{
		{sharedMemory{5432001, 294912}, 101, 4711, 7},
		{sharedMemory{5432001, 294912}, 102, 4711, 0}, // another user's
		{sharedMemory{5432001, 294912}, 101, 4712, 0}, // another instance's, of this user and with this key
		{sharedMemory{5432001, 294912}, 101, 0, 7},    // who made ours cannot be told
		{sharedMemory{5432001, 294913}, 101, 4711, 0},
		{sharedMemory{5432003, 294912}, 101, 4711, 0}, // the ID was given to another segment
		{sharedMemory{0xDEADBEEF, 5}, 101, 4711, 1},   // the kernel prints keys with a sign
		{sharedMemory{5432002, 6}, 101, 4711, 0},      // nobody has it attached
		{sharedMemory{5432004, 7}, 101, 4711, 2},      // made in another process namespace
	} {
		got, err := attached(shmSample, c.segment, c.uid, c.creator)
		require.NoError(t, err)
		require.Equal(t, c.want, got, "%+v of %d by %d", c.segment, c.uid, c.creator)
	}
	key, err := parseKey("3735928559")
	require.NoError(t, err)
	require.Equal(t, uint32(0xDEADBEEF), key)
	key, err = parseKey("18446744073150512879") // printed as an unsigned long by a 64-bit server
	require.NoError(t, err)
	require.Equal(t, uint32(0xDEADBEEF), key)
	// columns have been added and may change their places
	got, err := attached("uid nattch shmid key\n101 3 294912 5432001\n", sharedMemory{5432001, 294912}, 101, 4711)
	require.NoError(t, err)
	require.Equal(t, 3, got)
	_, err = attached("uid shmid key\n101 294912 5432001\n", sharedMemory{5432001, 294912}, 101, 4711)
	require.Error(t, err, "it cannot be told")
	got, err = attached("", sharedMemory{5432001, 294912}, 101, 4711)
	require.NoError(t, err)
	require.Zero(t, got)
}

func TestParseStatusFile(t *testing.T) {
	s, err := parseStatusFile("Name:\tpostgres\nUmask:\t0077\nState:\tT (stopped)\nTgid:\t5\nPid:\t5\nPPid:\t4\nUid:\t0\t101\t0\t101\n")
	require.NoError(t, err)
	require.Equal(t, processStatus{parent: 4, uid: 101, state: 'T'}, s)
	require.True(t, s.stopped())
	require.False(t, s.dead())
	// a name may hold anything but a line end, which the kernel writes as \n
	s, err = parseStatusFile("Name:\tUid:\t7 PPid:\t8\nState:\tZ (zombie)\nPPid:\t4\nUid:\t1\t2\t3\t4\n")
	require.NoError(t, err)
	require.Equal(t, processStatus{parent: 4, uid: 2, state: 'Z'}, s)
	require.True(t, s.dead())
	for _, text := range []string{
		"", "State:\tR\n", "State:\tR\nPPid:\tx\nUid:\t1\t1\t1\t1\n", "State:\tR\nPPid:\t1\nUid:\t1\n", "PPid:\t1\nUid:\t1\t1\n", "State:\nPPid:\t1\nUid:\t1\t1\n",
	} {
		_, err := parseStatusFile(text)
		require.Error(t, err, "%q", text)
	}
}

func TestIsServerProgram(t *testing.T) {
	for path, want := range map[string]bool{
		"/usr/lib/postgresql/15/bin/postgres": true, "/usr/pgsql-15/bin/postmaster": true,
		"/usr/lib/postgresql/15/bin/postgres (deleted)": true, "/bin/sh": false, "/usr/bin/pg_basebackup": false,
		"/opt/postgres/bin/sh": false, "/x/postgres2": false, "/x/postgres (deleted) (deleted)": false, "": false,
	} {
		require.Equal(t, want, isServerProgram(path), path)
	}
}

// fakeProc is a proc file system of files, for what cannot be arranged with
// real processes.
type fakeProc struct {
	t   *testing.T
	dir string
	i   *Instance
}

func newFakeProc(t *testing.T) *fakeProc {
	t.Helper()
	f := &fakeProc{t: t, dir: t.TempDir()}
	data := filepath.Join(t.TempDir(), "data")
	require.NoError(t, os.Mkdir(data, 0o700))
	f.i = New(Config{PGData: data, User: command.User{Name: "me", UID: uint32(os.Geteuid()), GID: uint32(os.Getegid())}})
	f.i.proc = f.dir
	return f
}

func (f *fakeProc) add(pid, parent int, title, cwd, exe string, uid uint32) {
	f.t.Helper()
	base := filepath.Join(f.dir, strconv.Itoa(pid))
	require.NoError(f.t, os.Mkdir(base, 0o700))
	require.NoError(f.t, os.Symlink(cwd, base+"/cwd"))
	if exe != "" {
		require.NoError(f.t, os.Symlink(exe, base+"/exe"))
	}
	require.NoError(f.t, os.WriteFile(base+"/cmdline", []byte(title), 0o600))
	status := fmt.Sprintf("Name:\tx\nState:\tS (sleeping)\nPPid:\t%d\nUid:\t%d\t%d\t%d\t%d\n", parent, uid, uid, uid, uid)
	require.NoError(f.t, os.WriteFile(base+"/status", []byte(status), 0o600))
}

func (f *fakeProc) server(pid, parent int, title string) {
	f.add(pid, parent, title, f.i.cfg.DataDir, "/usr/lib/postgresql/15/bin/postgres", f.i.cfg.User.UID)
}

func (f *fakeProc) pidFile(text string) {
	require.NoError(f.t, os.WriteFile(f.i.path("postmaster.pid"), []byte(text), 0o600))
}

func (f *fakeProc) found() Processes {
	f.t.Helper()
	p, err := f.i.Processes()
	require.NoError(f.t, err)
	return p
}

const masterTitle = "/usr/lib/postgresql/15/bin/postgres\x00-D\x00/data\x00"

func TestProcessesAreToldApart(t *testing.T) {
	f := newFakeProc(t)
	f.add(1, 0, "init", "/", "/sbin/init", 0)
	require.Equal(t, Processes{}, f.found())
	f.add(20, 1, masterTitle, t.TempDir(), "/usr/lib/postgresql/15/bin/postgres", f.i.cfg.User.UID)       // another instance
	f.add(21, 1, masterTitle, f.i.cfg.DataDir, "/usr/lib/postgresql/15/bin/pg_ctl", f.i.cfg.User.UID)     // another program
	f.add(22, 1, masterTitle, f.i.cfg.DataDir, "/usr/lib/postgresql/15/bin/postgres", f.i.cfg.User.UID+1) // another user
	require.Equal(t, Processes{}, f.found())

	f.server(300, 1, "postgres: main: checkpointer ")
	f.server(301, 1, "postgres: walwriter ")
	require.Equal(t, Processes{Orphans: []int{300, 301}}, f.found(), "what a killed postmaster leaves")

	f.server(100, 1, masterTitle)
	f.server(110, 100, "postgres: checkpointer ")
	f.server(111, 100, masterTitle) // has not named itself yet
	f.server(112, 110, "postgres: archiver ")
	want := Processes{Postmaster: 100, Children: []int{110, 111, 112}, Orphans: []int{300, 301}}
	for what, text := range map[string]string{
		"the postmaster's": "100\n", "nobody's": "7\n", "a child's": "110\n", "another program's": "21\n", "another instance's": "20\n",
		"garbage": "\x00", "empty": "", "huge": strings.Repeat("100\n", 10000),
	} {
		f.pidFile(text)
		require.Equal(t, want, f.found(), what)
	}
	f.pidFile("300\n") // an orphan is no postmaster, though it is nobody's child
	require.Equal(t, 300, f.found().Postmaster, "known limit: postmaster.pid of a process of this very directory is believed")
}

// On a dead mount, of an NFS server that is down, a look at a directory does not come
// back. Processes of others, and other programs of the user's, stand where they like.
func TestProcessesOnADeadMount(t *testing.T) {
	f := newFakeProc(t)
	const server = "/usr/lib/postgresql/15/bin/postgres"
	f.add(1, 0, "init", "/", "/sbin/init", 0)
	f.add(20, 1, "vi", "/dead", "/usr/bin/vi", f.i.cfg.User.UID)
	f.add(21, 1, masterTitle, "/dead", server, f.i.cfg.User.UID+1)
	f.server(100, 1, masterTitle)
	f.i.stat = func(path string, info *syscall.Stat_t) error {
		require.Equal(t, filepath.Join(f.dir, "100", "cwd"), path, "this one does not come back")
		return syscall.Stat(path, info)
	}
	require.Equal(t, Processes{Postmaster: 100}, f.found())
}

// A server of the user's whose directory cannot be looked at may be ours, unless it has
// ended meanwhile.
func TestProcessesThatCannotBeTold(t *testing.T) {
	f := newFakeProc(t)
	f.server(100, 1, masterTitle)
	f.server(200, 1, masterTitle)
	var failure error
	f.i.stat = func(path string, info *syscall.Stat_t) error {
		if strings.HasSuffix(path, "/200/cwd") {
			return failure
		}
		return syscall.Stat(path, info)
	}
	for _, failure = range []error{syscall.ESTALE, syscall.EIO, syscall.ENOTCONN, syscall.ENOENT} {
		_, err := f.i.Processes()
		require.ErrorIs(t, err, failure)
		require.ErrorContains(t, err, "it cannot be told whether it works in "+f.i.cfg.DataDir)
	}
	require.NoError(t, os.Remove(filepath.Join(f.dir, "200", "exe"))) // as of a process that exits
	for _, failure = range []error{syscall.ESRCH, syscall.ENOENT} {
		require.Equal(t, Processes{Postmaster: 100}, f.found())
	}
	f.add(300, 1, masterTitle, f.i.cfg.DataDir, "", f.i.cfg.User.UID)
	require.Equal(t, Processes{Postmaster: 100}, f.found(), "one that ended before")
}

// A server outlives its data directory, also where pgdata is a link to it, and where
// another one was made in its place.
func TestProcessesOfARemovedDirectory(t *testing.T) {
	f := newFakeProc(t)
	data := f.i.cfg.DataDir
	top := filepath.Dir(data)
	link, relative := filepath.Join(top, "link"), filepath.Join(top, "relative")
	require.NoError(t, os.Symlink(data, link))
	require.NoError(t, os.Symlink("../"+filepath.Base(top), relative))
	f.add(100, 1, masterTitle, data+deletedMark, "/usr/lib/postgresql/15/bin/postgres", f.i.cfg.User.UID)
	f.i.stat = func(path string, info *syscall.Stat_t) error { return syscall.Stat("/", info) } // a directory without a name
	found := func(what string) {
		t.Helper()
		for _, path := range []string{data, link, relative + "/data", relative + "/link"} {
			f.i.cfg.DataDir = path
			require.Equal(t, Processes{Postmaster: 100}, f.found(), "%s: %s", what, path)
		}
	}
	found("made anew")
	require.NoError(t, os.Remove(data))
	found("removed")
	f.i.cfg.DataDir = filepath.Join(top, "other")
	require.Equal(t, Processes{}, f.found())
}

// A server goes on in a data directory that was renamed under it, whether there is another
// one in its place or not. It may be ours, and is not signalled.
func TestProcessesOfADirectoryThatWasMovedAway(t *testing.T) {
	f := newFakeProc(t)
	data := f.i.cfg.DataDir
	moved := data + ".old"
	link := filepath.Join(filepath.Dir(data), "link")
	require.NoError(t, os.Symlink(data, link))
	f.space("self")
	server := func(pid int, arguments, cwd string) {
		f.add(pid, 1, "postgres\x00"+arguments, cwd, "/usr/lib/postgresql/15/bin/postgres", f.i.cfg.User.UID)
		f.space(strconv.Itoa(pid))
	}
	server(100, "-D\x00"+data+"\x00-c\x00config_file=/etc/postgresql.conf\x00", moved)
	wants := func(want int, what string) {
		t.Helper()
		for _, path := range []string{data, link} {
			f.i.cfg.PGData, f.i.cfg.DataDir = path, path
			_, err := f.i.Processes()
			var found *MovedAwayError
			if want == 0 {
				require.NoError(t, err, what)
				continue
			}
			require.ErrorAs(t, err, &found, what)
			require.Equal(t, want, found.PID, what)
			works, err := os.Readlink(filepath.Join(f.dir, strconv.Itoa(want), "cwd"))
			require.NoError(t, err)
			require.Equal(t, works, found.Works, what)
			require.Error(t, f.i.tellOne(syscall.SIGTERM, want), "it may be ours, or somebody else's")
		}
	}
	f.pidFile("100\n" + data + "\n")
	require.NoError(t, os.Rename(data, moved))
	wants(100, "renamed")
	require.NoError(t, os.Mkdir(data, 0o700))
	wants(100, "and made anew")
	for what, text := range map[string]string{
		"of another instance": "100\n" + moved + "\n", "left over": "7\n" + data + "\n", "begun": "100\n", "garbage": "\x00", "empty": "",
	} {
		require.NoError(t, os.WriteFile(moved+"/postmaster.pid", []byte(text), 0o600))
		wants(0, what)
	}

	// For up to a minute a server goes on whose directory was removed after that.
	require.NoError(t, errors.Join(os.RemoveAll(moved), os.RemoveAll(filepath.Join(f.dir, "100"))))
	f.i.stat = func(_ string, info *syscall.Stat_t) error { return syscall.Stat("/", info) } // a directory without a name
	server(200, "-D\x00"+data+"/\x00", moved+deletedMark)
	wants(200, "removed")
	for n, arguments := range []string{"", "-D", "-D\x00", "-D\x00" + moved + "\x00", "-c\x00data_directory=/x\x00"} {
		require.NoError(t, os.WriteFile(filepath.Join(f.dir, "200/cmdline"), []byte("postgres\x00"+arguments), 0o600))
		wants(0, fmt.Sprint("removed, arguments ", n))
	}
	require.NoError(t, os.WriteFile(filepath.Join(f.dir, "200/cmdline"), []byte("postgres\x00-D\x00"+data), 0o600))
	for _, of := range []string{"ns/mnt", "root"} { // in a container, the path is another place
		file := filepath.Join(f.dir, "200", of)
		was, err := os.Readlink(file)
		require.NoError(t, err)
		require.NoError(t, errors.Join(os.Remove(file), os.Symlink("other", file)))
		wants(0, of)
		require.NoError(t, errors.Join(os.Remove(file), os.Symlink(was, file)))
	}
	wants(200, "and in ours")
}

// space gives a process the mounts and the root of all others.
func (f *fakeProc) space(pid string) {
	f.t.Helper()
	base := filepath.Join(f.dir, pid)
	require.NoError(f.t, os.MkdirAll(base+"/ns", 0o700))
	require.NoError(f.t, os.Symlink("mnt:[4026531841]", base+"/ns/mnt"))
	require.NoError(f.t, os.Symlink("/", base+"/root"))
}

func TestTellsNothing(t *testing.T) {
	for _, err := range []error{syscall.EIO, syscall.ESTALE, syscall.EUCLEAN, syscall.EBADMSG, syscall.EACCES, syscall.ENOENT, ErrNotRegular} {
		require.True(t, tellsNothing(&fs.PathError{Op: "read", Path: "postmaster.pid", Err: err}), err)
	}
	require.False(t, tellsNothing(syscall.ENFILE), "our own trouble")
	require.False(t, tellsNothing(nil))
}

func TestProcessesNeedTheProcFileSystem(t *testing.T) {
	f := newFakeProc(t)
	_, err := f.i.Processes()
	require.ErrorContains(t, err, "shows no process")
	f.i.proc = "/nowhere"
	_, err = f.i.Processes()
	require.Error(t, err)
}

func TestSharedMemoryOfThePidFile(t *testing.T) {
	f := newFakeProc(t)
	f.add(1, 0, "init", "/", "/sbin/init", 0)
	f.pidFile(pidFileSample)
	require.False(t, f.found().SharedMemory, "a kernel without the table")
	require.NoError(t, os.Mkdir(filepath.Join(f.dir, "sysvipc"), 0o700))
	table := strings.ReplaceAll(shmSample, "  101  ", fmt.Sprintf("%5d  ", f.i.cfg.User.UID))
	require.NoError(t, os.WriteFile(filepath.Join(f.dir, "sysvipc/shm"), []byte(table), 0o600))
	require.True(t, f.found().SharedMemory)
	require.True(t, f.found().Running())
	f.pidFile(strings.Replace(pidFileSample, "4711", "4712", 1))
	require.False(t, f.found().Running(), "left over from before a reboot, and the segment is another instance's")
	f.pidFile(strings.Replace(pidFileSample, "294912", "6", 1))
	require.False(t, f.found().Running())
}

func FuzzParsePidFile(f *testing.F) {
	f.Add(pidFileSample)
	f.Add("-4711")
	f.Fuzz(func(t *testing.T, text string) {
		p := parsePidFile(text)
		if p.PID < 0 || p.Shared.ID < -1 {
			t.Fatalf("%q gave %+v", text, p)
		}
	})
}

func FuzzAttached(f *testing.F) {
	f.Add(shmSample, uint32(5432001), 294912, uint32(101), 4711)
	f.Fuzz(func(_ *testing.T, table string, key uint32, id int, uid uint32, creator int) {
		_, _ = attached(table, sharedMemory{Key: key, ID: id}, uid, creator)
	})
}

func FuzzParseStatusFile(f *testing.F) {
	f.Add("Name:\tpostgres\nState:\tS (sleeping)\nPPid:\t1\nUid:\t1\t2\t3\t4\n")
	f.Add("State:\x00 \nPPid:0\nUid:0 0")
	f.Fuzz(func(t *testing.T, text string) {
		if s, err := parseStatusFile(text); err == nil && s.state == 0 {
			t.Fatalf("%q gave %+v", text, s)
		}
	})
}
