package command

import (
	"context"
	"errors"
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

// sh runs a script: the tests' programs, not the agent's.
func sh(script string) Cmd { return Cmd{Path: "/bin/sh", Args: []string{"-c", script}} }

func TestRunKeepsOutputsApart(t *testing.T) {
	out, err := Run(t.Context(), sh("echo out; echo err >&2; exit 3"))
	require.NoError(t, err)
	require.Equal(t, Result{Stdout: "out\n", Stderr: "err\n", Code: 3}, out)
}

// Every variable is one that was meant to be there.
func TestRunGivesACleanEnvironment(t *testing.T) {
	for _, name := range []string{"PGOPTIONS", "LANG", "LC_MESSAGES", "TZ", "LD_PRELOAD", "OCF_RESKEY_x", "IFS"} {
		t.Setenv(name, "hostile")
	}
	c := Cmd{Path: "/usr/bin/env", Env: []string{"CIB_file=/tmp/x"}}
	out, err := Run(t.Context(), c)
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"LC_ALL=C", searchPath, "HOME=/", "CIB_file=/tmp/x"}, strings.Fields(out.Stdout))

	me := User{Name: "me", UID: uint32(os.Geteuid()), GID: uint32(os.Getegid()), Home: "/home/me"}
	c.User, c.Env = &me, nil
	out, err = Run(t.Context(), c)
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"LC_ALL=C", searchPath, "HOME=/home/me", "USER=me", "LOGNAME=me"}, strings.Fields(out.Stdout))
}

func TestRunHasNoInputAndStandsAtTheRoot(t *testing.T) {
	out, err := Run(t.Context(), sh("pwd; readlink /proc/self/fd/0; cat"))
	require.NoError(t, err)
	require.Equal(t, "/\n/dev/null\n", out.Stdout)
	c := sh("pwd")
	c.Dir = "/usr"
	out, err = Run(t.Context(), c)
	require.NoError(t, err)
	require.Equal(t, "/usr\n", out.Stdout)
}

// Arguments are arguments, whatever they hold.
func TestRunAsksNoShell(t *testing.T) {
	trap := filepath.Join(t.TempDir(), "trap")
	args := []string{"$(touch " + trap + ")", "`touch " + trap + "`", "; touch " + trap, "a b", "", "*"}
	out, err := Run(t.Context(), Cmd{Path: "/usr/bin/printf", Args: append([]string{"[%s]"}, args...)})
	require.NoError(t, err)
	require.Equal(t, "["+strings.Join(args, "][")+"]", out.Stdout)
	require.NoFileExists(t, trap)
}

func TestRunRefusesWhatIsNoAbsolutePath(t *testing.T) {
	for _, path := range []string{"", "true", "./true", "../bin/true"} {
		_, err := Run(t.Context(), Cmd{Path: path})
		require.ErrorContains(t, err, "absolute path", path)
	}
	_, err := Run(t.Context(), Cmd{Path: "/nowhere/true"})
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = Run(t.Context(), Cmd{Path: "/etc"})
	require.Error(t, err)
}

func TestRunReportsASignal(t *testing.T) {
	_, err := Run(t.Context(), sh("kill -9 $$"))
	require.ErrorContains(t, err, "killed")
	require.NotErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorIs(t, err, ErrNotRun)

	_, err = Run(t.Context(), sh("kill -SEGV $$")) // a fault of its own, which it has the next time as well
	require.ErrorContains(t, err, "segmentation fault")
	require.NotErrorIs(t, err, ErrNotRun)
}

// What a program could not say for the machine's trouble is not the same as that there is
// no such program.
func TestRunTellsTheMachinesTroubleFromThePrograms(t *testing.T) {
	busy := filepath.Join(t.TempDir(), "busy")
	require.NoError(t, os.WriteFile(busy, []byte("#!/bin/sh\n"), 0o700))
	written, err := os.OpenFile(busy, os.O_WRONLY, 0) // as while it is being replaced
	require.NoError(t, err)
	defer written.Close()
	_, err = Run(t.Context(), Cmd{Path: busy})
	require.ErrorIs(t, err, syscall.ETXTBSY)
	require.ErrorIs(t, err, ErrNotRun)

	noProgram := filepath.Join(t.TempDir(), "text")
	require.NoError(t, os.WriteFile(noProgram, []byte("no program\n"), 0o700))
	for _, path := range []string{"/nowhere/true", "/etc/passwd/true", "/etc", "/etc/passwd", noProgram} {
		_, err := Run(t.Context(), Cmd{Path: path})
		require.ErrorContains(t, err, "cannot run "+path)
		require.NotErrorIs(t, err, ErrNotRun, path)
	}

	withoutFiles(t, func() {
		_, runErr := Run(t.Context(), sh("true"))
		_, startErr := Start(t.Context(), sh("true"))
		for _, err = range []error{runErr, startErr} {
			require.ErrorIs(t, err, syscall.EMFILE)
			require.ErrorIs(t, err, ErrNotRun)
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = Run(ctx, sh("true"))
	require.NotErrorIs(t, err, ErrNotRun, "it has an error of its own")
}

// withoutFiles does something while this process may open no more files.
func withoutFiles(t *testing.T, do func()) {
	t.Helper()
	var was syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &was))
	none := was
	none.Cur = 0
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &none))
	defer func() { require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &was)) }()
	do()
}

// With the deadline the program goes, and so does what it has started.
func TestRunEndsTheWholeGroupWithItsContext(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	began := time.Now()
	out, err := Run(ctx, sh("sleep 1000 & echo $!; wait"))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Less(t, time.Since(began), 30*time.Second)
	var pid int
	_, scanErr := fmt.Sscan(out.Stdout, &pid)
	require.NoError(t, scanErr)
	require.Eventually(t, func() bool { return gone(pid) }, 10*time.Second, 5*time.Millisecond)

	_, err = Run(ctx, sh("true"))
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

// gone says that a process has ended; it may still wait for its new parent to
// take note of that.
func gone(pid int) bool {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || strings.Contains(string(status), ") Z ")
}

// A server stays behind with our pipe in its hands; its starter has ended.
func TestRunDoesNotWaitForGrandchildren(t *testing.T) {
	began := time.Now()
	out, err := Run(t.Context(), sh("setsid sleep 1000 & echo $!; exit 4"))
	require.NoError(t, err)
	require.Equal(t, 4, out.Code)
	require.Less(t, time.Since(began), 30*time.Second)
	var pid int
	_, err = fmt.Sscan(out.Stdout, &pid)
	require.NoError(t, err)
	require.False(t, gone(pid), "the grandchild was not to be touched")
	require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
}

func TestRunCapsOutput(t *testing.T) {
	out, err := Run(t.Context(), Cmd{Path: "/usr/bin/head", Args: []string{"-c", fmt.Sprint(maxOutput + 1), "/dev/zero"}})
	require.ErrorIs(t, err, ErrOutputTooLarge)
	require.Len(t, out.Stdout, maxOutput)
	out, err = Run(t.Context(), sh(fmt.Sprintf("head -c %d /dev/zero >&2; echo fine", maxOutput+1)))
	require.NoError(t, err, "complaints may be as long as they like")
	require.Equal(t, "fine\n", out.Stdout)
	require.Len(t, out.Stderr, maxOutput)
}

func TestRunWritesIntoFiles(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "log"))
	require.NoError(t, err)
	defer f.Close()
	c := sh("echo out; echo err >&2")
	c.Stdout, c.Stderr = f, f
	out, err := Run(t.Context(), c)
	require.NoError(t, err)
	require.Equal(t, Result{}, out)
	text, err := os.ReadFile(f.Name())
	require.NoError(t, err)
	require.Equal(t, "out\nerr\n", string(text))
}

func TestStart(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	gate := filepath.Join(t.TempDir(), "gate")
	require.NoError(t, syscall.Mkfifo(gate, 0o600))
	p, err := Start(ctx, sh("read x < "+gate+"; exit $x"))
	require.NoError(t, err)
	cancel() // it is to outlive us, and much more the context
	session, _, e := syscall.RawSyscall(syscall.SYS_GETSID, uintptr(p.Pid), 0, 0)
	require.Zero(t, e)
	require.Equal(t, p.Pid, int(session))
	ended, _ := p.Exited()
	require.False(t, ended)
	require.NoError(t, os.WriteFile(gate, []byte("7\n"), 0))
	<-p.Done()
	ended, how := p.Exited()
	require.True(t, ended)
	require.EqualError(t, how, "exited with code 7")

	_, err = Start(ctx, sh("true"))
	require.ErrorIs(t, err, context.Canceled)
	_, err = Start(t.Context(), Cmd{Path: "/nowhere"})
	require.ErrorIs(t, err, os.ErrNotExist)
	p, err = Start(t.Context(), sh("kill -9 $$"))
	require.NoError(t, err)
	<-p.Done()
	_, how = p.Exited()
	require.ErrorContains(t, how, "signal 9")
	p, err = Start(t.Context(), sh("true"))
	require.NoError(t, err)
	<-p.Done()
	ended, how = p.Exited()
	require.True(t, ended)
	require.NoError(t, how)
}

func TestFirstLine(t *testing.T) {
	for in, want := range map[string]string{"": "", "\n": "", "a": "a", "a\nb": "a", "\n  a \nb": "a", "a\r\n": "a"} {
		require.Equal(t, want, FirstLine(in), "%q", in)
	}
}

// asParent makes the test binary run a program that writes its process ID into
// this file, and wait for it.
const asParent = "PGSQLMS_TEST_PARENT_OF"

func TestMain(m *testing.M) {
	if file := os.Getenv(asParent); file != "" {
		_, _ = Run(context.Background(), sh("echo $$ >"+file+".new; mv "+file+".new "+file+"; exec sleep 1000"))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// Pacemaker kills the agent's process group, in which its programs are not.
func TestRunLeavesNothingBehindWhenKilled(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pid")
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), asParent+"="+file)
	require.NoError(t, parent.Start())
	var pid int
	awaitThat(t, "the program runs", func() bool {
		text, err := os.ReadFile(file)
		if err == nil {
			pid, err = strconv.Atoi(strings.TrimSpace(string(text)))
		}
		return err == nil
	})
	require.NoError(t, syscall.Kill(pid, 0))
	require.NoError(t, parent.Process.Kill())
	_ = parent.Wait() // killed
	awaitThat(t, "the program is gone", func() bool { return !alive(pid) })
}

// A thread that ends takes along what was started from it. Threads end with work
// that is done as another user.
func TestRunOutlivesOtherThreads(t *testing.T) {
	results := make(chan error)
	const programs = 8
	for range programs {
		go func() {
			out, err := Run(t.Context(), sh("sleep 0.5; echo done"))
			if err == nil && out.Stdout != "done\n" {
				err = errors.New("it did not come to its end")
			}
			results <- err
		}()
	}
	for left := programs; left > 0; {
		select {
		case err := <-results:
			require.NoError(t, err)
			left--
		default:
			ended := make(chan struct{})
			go func() {
				runtime.LockOSThread() // and never unlocked
				close(ended)
			}()
			<-ended
		}
	}
}

func alive(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(text), ") Z ")
}

func awaitThat(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !condition(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}
