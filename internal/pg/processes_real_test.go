//go:build realpg

package pg

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestRealProcessesOfARunningServer(t *testing.T) {
	s := newPrimary(t)
	launched, err := s.Launch(t.Context())
	require.NoError(t, err)
	s.wait("it takes connections", func() bool { return s.PostmasterStatus() == StatusReady })
	other := newPrimary(t).start() // must not be mixed up with it
	found := s.processes()
	require.Equal(t, launched.Pid(), found.Postmaster)
	require.Greater(t, len(found.Children), 3)
	require.Empty(t, found.Orphans)
	require.False(t, found.Stopped)
	require.True(t, found.SharedMemory)
	require.True(t, found.Running())
	require.NotContains(t, found.Children, other.processes().Postmaster)

	signal(t, found.Postmaster, syscall.SIGSTOP)
	s.wait("it is stopped", func() bool { return s.processes().Stopped })
	signal(t, found.Postmaster, syscall.SIGCONT)
	s.wait("it goes on", func() bool { return !s.processes().Stopped })
}

// The path by which the data directory is configured need not be the server's.
func TestRealProcessesThroughALink(t *testing.T) {
	s := newPrimary(t).start()
	link := s.file("link")
	require.NoError(t, os.Symlink(s.file("data"), link))
	s.cfg.PGData, s.cfg.DataDir = link, link
	require.NotZero(t, s.processes().Postmaster)
}

// kill -9 of the postmaster leaves backends that do not notice, such as a
// stopped one. They hold the shared memory, and no new server starts.
func TestRealOrphansOfAKilledPostmaster(t *testing.T) {
	s := newPrimary(t).start()
	backend := int(s.open().conn.PID())
	signal(t, backend, syscall.SIGSTOP)
	master := s.processes().Postmaster
	signal(t, master, syscall.SIGKILL)
	s.wait("only the stopped backend is left", func() bool {
		found := s.processes()
		return found.Postmaster == 0 && len(found.Orphans) == 1
	})
	found := s.processes()
	require.Equal(t, []int{backend}, found.Orphans)
	require.Empty(t, found.Children)
	require.True(t, found.SharedMemory)
	require.True(t, found.Running())
	require.Equal(t, StatusNone, s.PostmasterStatus(), "postmaster.pid still says ready")
	require.Equal(t, StateInProduction, s.state())

	launched, err := s.Launch(t.Context())
	require.NoError(t, err)
	s.wait("a new server gives up", func() bool { ended, _ := launched.Exited(); return ended })
	_, how := launched.Exited()
	require.ErrorContains(t, how, "exited with code 1")

	require.NoError(t, s.Shutdown(t.Context(), Kill), "no postmaster: nothing to do")
	require.Equal(t, []int{backend}, s.processes().Orphans)
	require.NoError(t, s.KillOrphans(t.Context()))
	s.waitGone()
	s.start()
	require.NotEqual(t, master, s.processes().Postmaster)
}

// Without postmaster.pid the postmaster is found, and told from what it leaves.
func TestRealPostmasterWithoutItsFile(t *testing.T) {
	s := newPrimary(t).start()
	master := s.processes().Postmaster
	backend := int(s.open().conn.PID())
	for what, plant := range map[string]func(){
		"missing":         func() {},
		"garbage":         func() { s.plant("postmaster.pid", "\x00\xff garbage\n\n\n") },
		"of a child":      func() { s.plant("postmaster.pid", strconv.Itoa(backend)) },
		"of this process": func() { s.plant("postmaster.pid", strconv.Itoa(os.Getpid())) },
		"a link":          func() { require.NoError(t, os.Symlink("/etc/shadow", s.data("postmaster.pid"))) },
		"a FIFO":          func() { require.NoError(t, syscall.Mkfifo(s.data("postmaster.pid"), 0o644)) },
		"a directory":     func() { require.NoError(t, os.Mkdir(s.data("postmaster.pid"), 0o755)) },
		"huge": func() {
			s.plant("postmaster.pid", "")
			require.NoError(t, os.Truncate(s.data("postmaster.pid"), 1<<40))
		},
	} {
		require.NoError(t, os.RemoveAll(s.data("postmaster.pid")))
		plant()
		require.Equal(t, master, s.processes().Postmaster, what)
		require.Equal(t, StatusNone, s.PostmasterStatus(), what)
	}
	require.NoError(t, os.RemoveAll(s.data("postmaster.pid")))

	signal(t, backend, syscall.SIGSTOP)
	signal(t, master, syscall.SIGKILL)
	s.wait("only the backend is left", func() bool { return len(s.processes().Orphans) == 1 && s.processes().Postmaster == 0 })
	require.NoError(t, s.KillOrphans(t.Context()))
	s.waitGone()
}

// plant writes a file of the data directory as its owner could.
func (s *server) plant(name, text string) {
	s.t.Helper()
	require.NoError(s.t, os.WriteFile(s.data(name), []byte(text), 0o600))
	s.own(s.data(name))
}

// After a crash the number in postmaster.pid may be anybody's: of the same
// user, and even of another postmaster.
func TestRealReusedProcessID(t *testing.T) {
	s := newPrimary(t).start()
	s.stop(Kill)
	require.FileExists(t, s.data("postmaster.pid"))
	left, err := os.ReadFile(s.data("postmaster.pid"))
	require.NoError(t, err)
	_, rest, _ := strings.Cut(string(left), "\n")

	sleep := exec.Command("/bin/sleep", "1000")
	sleep.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: here.user.UID, Gid: here.user.GID}}
	sleep.Dir = s.file("data")
	require.NoError(t, sleep.Start())
	defer func() { sleep.Process.Kill(); sleep.Wait() }()

	other := newPrimary(t).start()
	for what, pid := range map[string]int{
		"another program": sleep.Process.Pid, "another server": other.processes().Postmaster, "init": 1,
	} {
		s.plant("postmaster.pid", fmt.Sprintf("%d\n%s", pid, rest))
		require.Equal(t, Processes{}, s.processes(), what)
		require.Equal(t, StatusNone, s.PostmasterStatus(), what)
		require.NoError(t, s.Shutdown(t.Context(), Kill), what)
		require.NoError(t, s.tell(syscall.SIGKILL, pid), what)
		require.Error(t, s.Reload(t.Context()), what)
	}
	require.NotZero(t, other.processes().Postmaster, "a stranger was killed")
	require.NoError(t, sleep.Process.Signal(syscall.Signal(0)))
}

// After a reboot the number may be another instance's, and then the server
// takes that one for itself and does not start.
func TestRealClearStaleLock(t *testing.T) {
	other := newPrimary(t).start()
	s := newPrimary(t).start()
	cleared, err := s.ClearStaleLock()
	require.NoError(t, err)
	require.False(t, cleared, "the server runs")
	backend := int(s.open().conn.PID())
	signal(t, backend, syscall.SIGSTOP)
	signal(t, s.processes().Postmaster, syscall.SIGKILL)
	s.wait("only the stopped backend is left", func() bool { return len(s.processes().Orphans) == 1 && s.processes().Postmaster == 0 })
	left, err := os.ReadFile(s.data("postmaster.pid"))
	require.NoError(t, err)
	_, rest, _ := strings.Cut(string(left), "\n")
	stale := map[string]string{
		"another instance's": fmt.Sprintf("%d\n%s", other.processes().Postmaster, rest), "empty": "", "garbage": "x\n",
	}
	for what, text := range stale {
		s.plant("postmaster.pid", text)
		cleared, err = s.ClearStaleLock()
		require.NoError(t, err, what)
		require.False(t, cleared, "a backend is left: "+what)
	}
	require.NoError(t, s.KillOrphans(t.Context()))
	s.waitGone()
	for what, text := range stale {
		s.plant("postmaster.pid", text)
		launched, err := s.Launch(t.Context())
		require.NoError(t, err)
		<-launched.Done()
		_, how := launched.Exited()
		require.ErrorContains(t, how, "exited with code 1", "the server minds nothing of it, this test proves nothing")
		cleared, err = s.ClearStaleLock()
		require.NoError(t, err, what)
		require.True(t, cleared, what)
		s.start()
		s.stop(Kill)
	}
	cleared, err = s.ClearStaleLock()
	require.NoError(t, err)
	require.True(t, cleared, "the next server may get the number of the one that is gone, and the file says ready")
	require.NoFileExists(t, s.data("postmaster.pid"))
	s.start()
	s.stop(Fast)
	cleared, err = s.ClearStaleLock()
	require.NoError(t, err)
	require.False(t, cleared)
	for what, plant := range plantings(t, s.data("postmaster.pid")) {
		require.NoError(t, os.RemoveAll(s.data("postmaster.pid")))
		plant()
		_, err = s.ClearStaleLock()
		require.ErrorIs(t, err, ErrNotRegular, what)
	}
}

// Nobody says that nothing runs, and nobody signals a server that only may be the instance.
func TestRealDataDirectoryRenamedUnderTheServer(t *testing.T) {
	s, other := newPrimary(t).start(), newPrimary(t).start()
	master := s.processes().Postmaster
	require.NoError(t, os.Rename(s.file("data"), s.file("data.old")))
	for _, made := range []bool{false, true} {
		if made {
			require.NoError(t, os.Mkdir(s.file("data"), 0o700))
			s.own(s.file("data"))
		}
		_, err := s.Processes()
		require.Equal(t, &MovedAwayError{PID: master, Works: s.file("data.old")}, err)
		require.Error(t, s.Shutdown(t.Context(), Kill))
		require.NotZero(t, other.processes().Postmaster, "another instance's is its own")
	}
	require.NoError(t, os.Remove(s.file("data")))
	require.NoError(t, os.Rename(s.file("data.old"), s.file("data")))
	require.Equal(t, master, s.processes().Postmaster)
}

func TestRealDataDirectoryRemovedUnderTheServer(t *testing.T) {
	for what, after := range map[string]func(*server){
		"removed":             func(*server) {},
		"and made anew":       func(s *server) { require.NoError(t, os.Mkdir(s.file("data"), 0o700)) },
		"configured by links": (*server).throughLinks,
	} {
		s := newPrimary(t).start()
		master := s.processes().Postmaster
		require.NoError(t, os.RemoveAll(s.file("data")))
		after(s)
		require.Equal(t, master, s.processes().Postmaster, what)
		require.NoError(t, s.Shutdown(t.Context(), Immediate))
		s.waitGone()
	}
}

// throughLinks configures a way to the data directory that leads over a link for its name
// and one for its parent.
func (s *server) throughLinks() {
	require.NoError(s.t, os.Symlink(s.dir, s.file("parent")))
	require.NoError(s.t, os.Symlink("data", s.file("link")))
	s.cfg.PGData, s.cfg.DataDir = s.file("parent/link"), s.file("parent/link")
}

// A directory the user may no longer enter does not hide what runs in it.
func TestRealDataDirectoryOutOfReach(t *testing.T) {
	s := newPrimary(t).start()
	master := s.processes().Postmaster
	require.NoError(t, os.Chmod(s.dir, 0o700))
	require.NoError(t, os.Chown(s.dir, 0, 0))
	require.Equal(t, master, s.processes().Postmaster)
	require.ErrorIs(t, s.CheckDataDir(), ErrDataDirAccess)
	_, err := s.Version()
	require.ErrorIs(t, err, ErrDataDirAccess)
	s.stop(Immediate)
}

// Root in a container often lacks the capability to look at other users'
// processes. The helper below is this test again, in a process without it.
func TestRealProcessesWithoutTheCapability(t *testing.T) {
	if dir := os.Getenv("PGSQLMS_TEST_DATADIR"); dir != "" {
		found, err := New(Config{PGData: dir, User: here.user}).Processes()
		fmt.Printf("found %d %v\n", found.Postmaster, err)
		return
	}
	s := newPrimary(t).start()
	helper := exec.Command("/proc/self/exe", "-test.run", "^TestRealProcessesWithoutTheCapability$")
	helper.Env = append(os.Environ(), "PGSQLMS_TEST_DATADIR="+s.file("data"))
	out, err := withoutPtrace(t, helper)
	require.NoError(t, err, out)
	require.Contains(t, out, fmt.Sprintf("found %d <nil>", s.processes().Postmaster))
}

// withoutPtrace runs a program without CAP_SYS_PTRACE in its bounding set, by
// taking it from the thread that starts it. The thread ends with the goroutine.
func withoutPtrace(t *testing.T, c *exec.Cmd) (out string, err error) {
	t.Helper()
	const prCapbsetDrop, capSysPtrace = 24, 19
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if _, _, e := syscall.RawSyscall(syscall.SYS_PRCTL, prCapbsetDrop, capSysPtrace, 0); e != 0 {
			err = e
			return
		}
		text, runErr := c.CombinedOutput()
		out, err = string(text), runErr
	}()
	<-done
	return out, err
}

// A program of the server's user with the server's working directory, but
// another program, is not the server: archive_command runs like this.
func TestRealOtherProgramsInTheDataDirectory(t *testing.T) {
	s := newPrimary(t)
	shell := exec.Command("/bin/sleep", "1000")
	shell.Dir = s.file("data")
	shell.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: here.user.UID, Gid: here.user.GID}}
	require.NoError(t, shell.Start())
	defer func() { shell.Process.Kill(); shell.Wait() }()
	require.Equal(t, Processes{}, s.processes())

	// postgres by name, in the directory, but of another user
	copied := filepath.Join(s.dir, "postgres")
	data, err := os.ReadFile("/bin/sleep")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(copied, data, 0o755))
	fake := exec.Command(copied, "1000")
	fake.Dir = s.file("data")
	require.NoError(t, fake.Start())
	defer func() { fake.Process.Kill(); fake.Wait() }()
	require.Equal(t, Processes{}, s.processes())
}

// An upgrade replaces the program of a running server.
func TestRealReplacedProgram(t *testing.T) {
	bin := t.TempDir()
	for _, dir := range []string{bin, filepath.Dir(bin)} {
		require.NoError(t, os.Chmod(dir, 0o755))
	}
	out, err := exec.Command("cp", filepath.Join(here.bin, "postgres"), filepath.Join(bin, "postgres")).CombinedOutput()
	require.NoError(t, err, string(out))
	s := newPrimary(t, func(c *Config) { c.BinDir = bin })
	s.start()
	require.NoError(t, os.Remove(filepath.Join(bin, "postgres")))
	require.NotZero(t, s.processes().Postmaster)
	require.Equal(t, StatusReady, s.PostmasterStatus())
}

// The walk through /proc must stay cheap: it is done every few milliseconds.
func TestRealProcessesIsQuick(t *testing.T) {
	s := newPrimary(t).start()
	began := time.Now()
	const rounds = 50
	for range rounds {
		s.processes()
	}
	each := time.Since(began) / rounds
	t.Logf("%s each", each)
	require.Less(t, each, 200*time.Millisecond)
}
