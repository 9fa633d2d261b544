//go:build realpg

package command

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// These tests need root and the user postgres, and fail without.

const patience, step = 30 * time.Second, 5 * time.Millisecond

func postgres(t *testing.T) User {
	t.Helper()
	require.Zero(t, os.Geteuid(), "expected to run as root")
	u, err := LookupUser(context.Background(), "postgres")
	require.NoError(t, err)
	return u
}

// ids are the "Uid:", "Gid:" and "Groups:" lines of a thread's status.
func ids(t *testing.T, path string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	found := map[string]string{}
	for line := range strings.Lines(string(text)) {
		label, value, _ := strings.Cut(line, ":")
		found[label] = strings.Join(strings.Fields(value), " ")
	}
	return found
}

func TestAsUserOpensFilesAsTheUser(t *testing.T) {
	u := postgres(t)
	dir := t.TempDir()
	for d := dir; strings.HasPrefix(d, os.TempDir()+"/"); d = filepath.Dir(d) {
		require.NoError(t, os.Chmod(d, 0o755))
	}
	secret, theirs := filepath.Join(dir, "secret"), filepath.Join(dir, "theirs")
	require.NoError(t, os.WriteFile(secret, nil, 0o600))
	require.NoError(t, os.Mkdir(theirs, 0o700))
	require.NoError(t, os.Chown(theirs, int(u.UID), int(u.GID)))
	created := filepath.Join(theirs, "created")

	require.NoError(t, AsUser(u, func() error {
		_, err := os.Open(secret)
		require.ErrorIs(t, err, fs.ErrPermission)
		require.ErrorIs(t, os.Chmod(secret, 0o777), fs.ErrPermission)
		require.ErrorIs(t, os.WriteFile(filepath.Join(dir, "x"), nil, 0o600), fs.ErrPermission)
		return os.WriteFile(created, nil, 0o600)
	}))
	_, err := os.ReadFile(secret)
	require.NoError(t, err, "root is root again")
	var info syscall.Stat_t
	require.NoError(t, syscall.Stat(created, &info))
	require.Equal(t, [2]uint32{u.UID, u.GID}, [2]uint32{info.Uid, info.Gid})
}

// Supplementary groups are part of what a user may do.
func TestAsUserHasTheGroups(t *testing.T) {
	u := postgres(t)
	u.Groups = []uint32{u.GID, 12345, 23456}
	require.NoError(t, AsUser(u, func() error {
		mine := ids(t, "/proc/thread-self/status")
		require.Equal(t, itoa(u.GID)+" 12345 23456", sorted(mine["Groups"], u.GID))
		require.Equal(t, "0000000000000000", mine["CapEff"])
		return nil
	}))
	u.Groups = nil
	require.NoError(t, AsUser(u, func() error {
		require.Empty(t, ids(t, "/proc/thread-self/status")["Groups"])
		return nil
	}))
	out, err := Run(t.Context(), Cmd{Path: "/usr/bin/id", Args: []string{"-G"}, User: &User{Name: "x", UID: u.UID, GID: u.GID, Groups: []uint32{12345}}})
	require.NoError(t, err)
	require.ElementsMatch(t, []string{itoa(u.GID), "12345"}, strings.Fields(out.Stdout))
}

func itoa(n uint32) string { return strconv.FormatUint(uint64(n), 10) }

// sorted puts the kernel's order of groups, by number, into ours.
func sorted(groups string, first uint32) string {
	rest := []string{}
	for _, g := range strings.Fields(groups) {
		if g != itoa(first) {
			rest = append(rest, g)
		}
	}
	return itoa(first) + " " + strings.Join(rest, " ")
}

// The process stays root: every thread but the one, and that one is gone
// afterwards, or it would pass the credentials on to whatever runs on it next.
// The first thread is never taken, because it cannot end.
func TestAsUserChangesOneThreadOnly(t *testing.T) {
	u := postgres(t)
	var all sync.WaitGroup
	start, stop := make(chan struct{}), make(chan struct{})
	for range 8 {
		all.Go(func() { // keeps threads busy, so that new ones are made meanwhile
			<-start
			for {
				select {
				case <-stop:
					return
				default:
					runtime.Gosched()
				}
			}
		})
	}
	close(start)
	const rounds = 200
	for range rounds {
		require.NoError(t, AsUser(u, func() error {
			require.Equal(t, "0 "+itoa(u.UID)+" 0 "+itoa(u.UID), ids(t, "/proc/thread-self/status")["Uid"])
			require.NotEqual(t, os.Getpid(), syscall.Gettid())
			require.Equal(t, "0 0 0 0", ids(t, "/proc/self/status")["Uid"])
			return nil
		}))
	}
	close(stop)
	all.Wait()
	require.Eventually(t, func() bool { return len(threadsOf(t, u)) == 0 }, patience, step, "threads of the user are left")
	require.Zero(t, os.Geteuid())
	require.Equal(t, "0 0 0 0", ids(t, "/proc/self/status")["Uid"])
}

func threadsOf(t *testing.T, u User) (found []string) {
	t.Helper()
	threads, err := filepath.Glob("/proc/self/task/*/status")
	require.NoError(t, err)
	require.NotEmpty(t, threads)
	for _, path := range threads {
		if text, err := os.ReadFile(path); err == nil && strings.Contains(string(text), "Uid:\t0\t"+itoa(u.UID)) {
			found = append(found, path)
		}
	}
	return found
}

// What main's own thread does is the harder case: it cannot be ended.
func TestAsUserFromTheFirstThread(t *testing.T) {
	u := postgres(t)
	for range 200 {
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = AsUser(u, func() error { return nil })
		}()
		<-done
		require.Equal(t, "0 0 0 0", ids(t, "/proc/self/status")["Uid"])
	}
}

// The user may not stop the thread that acts for it, and with it the process.
func TestAsUserIsOutOfTheUsersReach(t *testing.T) {
	u := postgres(t)
	thread, done := make(chan int), make(chan struct{})
	acting := make(chan error)
	go func() {
		acting <- AsUser(u, func() error {
			thread <- syscall.Gettid()
			<-done
			return nil
		})
	}()
	tid := <-thread
	for _, signal := range []string{"-0", "-TERM"} {
		out, err := Run(t.Context(), Cmd{Path: "/bin/kill", Args: []string{signal, itoa(uint32(tid))}, User: &u})
		require.NoError(t, err)
		require.Contains(t, out.Stderr, "not permitted")
	}
	close(done)
	require.NoError(t, <-acting)
}

// Peer authentication looks at the credentials of the thread that connected.
func TestAsUserConnectsAsTheUser(t *testing.T) {
	u := postgres(t)
	path := filepath.Join(t.TempDir(), "socket")
	for d := filepath.Dir(path); strings.HasPrefix(d, os.TempDir()+"/"); d = filepath.Dir(d) {
		require.NoError(t, os.Chmod(d, 0o755))
	}
	listener, err := net.Listen("unix", path)
	require.NoError(t, err)
	defer listener.Close()
	require.NoError(t, os.Chmod(path, 0o777))
	require.NoError(t, AsUser(u, func() error {
		fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
		require.NoError(t, err)
		defer syscall.Close(fd)
		return syscall.Connect(fd, &syscall.SockaddrUnix{Name: path})
	}))
	conn, err := listener.Accept()
	require.NoError(t, err)
	defer conn.Close()
	raw, err := conn.(*net.UnixConn).SyscallConn()
	require.NoError(t, err)
	require.NoError(t, raw.Control(func(fd uintptr) {
		peer, err := syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
		require.NoError(t, err)
		require.Equal(t, u.UID, peer.Uid)
		require.Equal(t, u.GID, peer.Gid)
	}))
}

func TestAsUserPassesErrorsOn(t *testing.T) {
	u := postgres(t)
	mine := errors.New("mine")
	require.ErrorIs(t, AsUser(u, func() error { return mine }), mine)
	root, err := LookupUser(t.Context(), "root")
	require.NoError(t, err)
	require.NoError(t, AsUser(root, func() error {
		require.Equal(t, "0 0 0 0", ids(t, "/proc/thread-self/status")["Uid"])
		return nil
	}))
}

func TestRunAsUser(t *testing.T) {
	u := postgres(t)
	out, err := Run(t.Context(), Cmd{Path: "/bin/sh", Args: []string{"-c", `id -u; id -ru; id -g; echo $HOME $USER $LOGNAME; cat /etc/shadow; pwd`}, User: &u})
	require.NoError(t, err)
	require.Equal(t, itoa(u.UID)+"\n"+itoa(u.UID)+"\n"+itoa(u.GID)+"\n"+u.Home+" postgres postgres\n/\n", out.Stdout)
	require.Contains(t, out.Stderr, "/etc/shadow")
	text := ids(t, "/proc/self/status")
	require.Equal(t, "0 0 0 0", text["Uid"])
	c := Cmd{Path: "/bin/cat", Args: []string{"/proc/self/status"}, User: &u}
	out, err = Run(t.Context(), c)
	require.NoError(t, err)
	require.Contains(t, out.Stdout, "CapEff:\t0000000000000000\n")
	require.Contains(t, out.Stdout, "CapPrm:\t0000000000000000\n")
}

// Somebody who is neither root nor the user is told so, and nothing is run.
func TestNeitherRootNorTheUser(t *testing.T) {
	u := postgres(t)
	helper := Cmd{Path: "/proc/self/exe", Args: []string{"-test.run", "^TestAsNobody$"}, User: &u, Env: []string{"PGSQLMS_TEST_NOBODY=1"}}
	exe, err := os.Executable()
	require.NoError(t, err)
	copied := filepath.Join(t.TempDir(), "test")
	data, err := os.ReadFile(exe)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(copied, data, 0o755))
	for d := filepath.Dir(copied); strings.HasPrefix(d, os.TempDir()+"/"); d = filepath.Dir(d) {
		require.NoError(t, os.Chmod(d, 0o755))
	}
	helper.Path = copied
	out, err := Run(t.Context(), helper)
	require.NoError(t, err)
	require.Contains(t, out.Stdout, "refused refused served")
}

func TestAsNobody(t *testing.T) {
	if os.Getenv("PGSQLMS_TEST_NOBODY") == "" {
		return
	}
	root := User{Name: "root"}
	me := User{Name: "me", UID: uint32(os.Geteuid()), GID: uint32(os.Getegid())}
	_, err := Run(t.Context(), Cmd{Path: "/bin/true", User: &root})
	os.Stdout.WriteString(word(err) + " ")
	os.Stdout.WriteString(word(AsUser(root, func() error { return nil })) + " ")
	os.Stdout.WriteString(word(AsUser(me, func() error { return nil })) + "\n")
}

func word(err error) string {
	if err != nil {
		return "refused"
	}
	return "served"
}
