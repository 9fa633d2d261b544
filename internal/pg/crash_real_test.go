//go:build realpg

package pg

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pgsqlms/internal/wal"
)

// process is one of the server's, by what pg_stat_activity calls it.
func (s *server) process(backendType string) int {
	s.t.Helper()
	pid, err := strconv.Atoi(s.sql("SELECT min(pid) FROM pg_stat_activity WHERE backend_type = '" + backendType + "'"))
	require.NoError(s.t, err, backendType)
	return pid
}

// freeze stops processes, and waits until they are.
func (s *server) freeze(pids ...int) {
	s.t.Helper()
	for _, pid := range pids {
		signal(s.t, pid, syscall.SIGSTOP)
	}
	s.wait("they are frozen", func() bool { return len(s.processes().Frozen) >= len(pids) })
}

// A process that is stopped by a signal does not hear that the server ends, and
// the postmaster waits for it: for ever in a fast shutdown. Waking it costs
// nothing; an immediate shutdown in its place costs a crash recovery, and a
// demotion that is not clean is none.
func TestRealShutdownWithFrozenProcesses(t *testing.T) {
	for mode, want := range map[ShutdownMode]State{Fast: StateShutDown, Immediate: StateInProduction, Kill: StateInProduction} {
		t.Run(string(mode), func(t *testing.T) {
			s := newPrimary(t).start()
			newStandby(t, s, "b").start()
			s.waitStreaming("b")
			session := int(s.open().conn.PID())
			frozen := []int{session, s.process("walsender"), s.process("checkpointer"), s.process("walwriter")}
			s.freeze(frozen...)
			require.ElementsMatch(t, frozen, s.processes().Frozen)
			require.False(t, s.processes().Stopped)
			s.stop(mode)
			require.Equal(t, want, s.state())
		})
		t.Run(string(mode)+", all of it", func(t *testing.T) {
			s := newPrimary(t).start()
			s.open()
			found := s.processes()
			s.freeze(append(found.Children, found.Postmaster)...)
			require.True(t, s.processes().Stopped)
			s.stop(mode)
			require.Equal(t, want, s.state())
		})
	}
}

// A standby's startup process and WAL receiver are no different.
func TestRealShutdownOfAFrozenStandby(t *testing.T) {
	primary := newPrimary(t).start()
	standby := newStandby(t, primary, "b").start()
	primary.waitStreaming("b")
	standby.freeze(standby.process("startup"), standby.process("walreceiver"))
	standby.stop(Fast)
	require.Equal(t, StateShutDownRecovery, standby.state())
}

// A server that ends may be told so again, and harder.
func TestRealShutdownWhileShuttingDown(t *testing.T) {
	s := newPrimary(t).start()
	s.open() // a smart shutdown, as an administrator may have begun one, waits for it
	signal(t, s.processes().Postmaster, syscall.SIGTERM)
	s.wait("it is stopping", func() bool { return s.PostmasterStatus() == StatusStopping })
	s.stop(Fast)
	require.Equal(t, StateShutDown, s.state())

	s.start()
	backend := int(s.open().conn.PID())
	require.NoError(t, s.Shutdown(t.Context(), Fast))
	require.NoError(t, s.Shutdown(t.Context(), Fast))
	_ = syscall.Kill(backend, syscall.SIGSTOP) // frozen as the shutdown goes on, if it is still there
	s.stop(Immediate)
}

// A server that is on its way up, replaying what a crash has left. At its very
// beginning it has not said yet what it does at a signal, and a signal may be lost:
// the test's processes are born with SIGINT ignored. So it is told until it ends.
func TestRealShutdownWhileStarting(t *testing.T) {
	for _, mode := range []ShutdownMode{Fast, Immediate, Kill} {
		s := newPrimary(t).start()
		s.sql("CREATE TABLE public.t AS SELECT generate_series(1, 300000) AS n")
		s.stop(Immediate)
		require.NoError(t, s.SetStandby(t.Context()))
		for _, status := range []PostmasterStatus{StatusNone, StatusStarting} {
			_, err := s.Launch(t.Context())
			require.NoError(t, err)
			s.wait("it is starting", func() bool { return status == StatusNone || s.PostmasterStatus() == status })
			s.wait("nothing runs", func() bool {
				require.NoError(t, s.Shutdown(t.Context(), mode))
				return !s.processes().Running()
			})
			require.NotEqual(t, StateShutDown, s.state(), "nothing of the crash is forgotten")
		}
		s.start()
		require.True(t, s.status().InRecovery)
		require.Equal(t, "300000", s.sql("SELECT count(*) FROM public.t"))
	}
}

// PostgreSQL restarts by itself when one of its processes dies, under the same
// postmaster, and says so meanwhile.
func TestRealOneProcessDies(t *testing.T) {
	s := newPrimary(t).start()
	s.write()
	master := s.processes().Postmaster
	held := s.process("checkpointer") // frozen, it makes the restart take its five seconds
	s.freeze(held)
	signal(t, int(s.open().conn.PID()), syscall.SIGKILL)
	s.wait("it says that it recovers", func() bool {
		c, err := s.Connect(t.Context())
		closeIf(c)
		if err == nil {
			return false
		}
		return NotReady(err) == PhaseRecovering || NotReady(err) == PhaseStarting
	})
	require.Equal(t, master, s.processes().Postmaster)
	s.wait("it answers again", func() bool { c, err := s.Connect(t.Context()); closeIf(c); return err == nil })
	require.Equal(t, master, s.processes().Postmaster)
	require.False(t, s.status().InRecovery)
	require.Equal(t, "1000", s.sql("SELECT count(*) FROM public.t"))
}

// A promotion is held in its middle, where the new timeline has begun on disk and
// the role is still the old one.
func TestRealHalfPromoted(t *testing.T) {
	half := func(t *testing.T) (s *server, want wal.Position) {
		primary := newPrimary(t).start()
		s = newStandby(t, primary, "b").start()
		primary.write()
		primary.waitStreaming("b")
		want = s.position()
		primary.stop(Immediate)
		// Run at the end of recovery; until 18 before the server says that it is a primary.
		s.again("recovery_end_command = 'while test -e " + s.file("hold") + "; do sleep 0.01; done'")
		require.NoError(t, os.WriteFile(s.file("hold"), nil, 0o600))
		require.NoError(t, s.Promote(t.Context()))
		s.wait("its timeline has begun", func() bool {
			_, err := os.Lstat(s.data("pg_wal/00000002.history"))
			return err == nil
		})
		s.wait("standby.signal is gone", func() bool { there, err := s.StandbySignal(); require.NoError(t, err); return !there })
		require.True(t, s.status().InRecovery)
		require.Equal(t, StateArchiveRecovery, s.state())
		require.True(t, must(s.Promoting(t.Context())))
		return s, want
	}
	t.Run("told again", func(t *testing.T) {
		s, _ := half(t)
		require.NoError(t, s.Promote(t.Context()))
		require.NoError(t, os.Remove(s.file("hold")))
		s.wait("promoted", func() bool { return !s.status().InRecovery })
		require.NoError(t, s.Promote(t.Context()))
		require.Equal(t, wal.Timeline(2), s.status().Current.Timeline)
		require.False(t, must(s.Promoting(t.Context())))
		s.stop(Fast)
		require.NoError(t, s.SetStandby(t.Context()))
		s.start()
		require.True(t, s.status().InRecovery, "what is left of the order is not obeyed at the next start")
	})
	for _, mode := range []ShutdownMode{Fast, Immediate, Kill} {
		t.Run(string(mode), func(t *testing.T) {
			s, want := half(t)
			s.stop(mode)
			require.NotEqual(t, StateInProduction, s.state())
			if mode == Fast {
				require.Equal(t, StateShutDownRecovery, s.state(), "a demotion takes that for a clean end")
			}
			require.NoError(t, os.Remove(s.file("hold")))
			require.NoError(t, s.SetStandby(t.Context()))
			s.start()
			s.wait("it has replayed all", func() bool { return s.standing().Complete })
			standing := s.standing()
			require.True(t, s.status().InRecovery)
			require.GreaterOrEqual(t, standing.End.LSN, want.LSN, "nothing is lost")
			require.Equal(t, "1000", s.sql("SELECT count(*) FROM public.t"))
			s.promote()
			require.Equal(t, wal.Timeline(3), s.status().Current.Timeline)
		})
	}
}

// The order has been heard, and there is still log to fetch and to replay.
func TestRealPromoting(t *testing.T) {
	primary := newPrimary(t).start()
	s := newStandby(t, primary, "b").start()
	primary.write()
	primary.waitStreaming("b")
	require.False(t, must(s.Promoting(t.Context())))
	require.False(t, must(primary.Promoting(t.Context())))
	s.sql("SELECT pg_wal_replay_pause()")
	require.False(t, must(s.Promoting(t.Context())))
	require.True(t, s.status().ReplayPaused, "the question changes nothing")
	s.again("restore_command = 'while test -e " + s.file("hold") + "; do sleep 0.01; done; false'")
	primary.waitStreaming("b")
	require.NoError(t, os.WriteFile(s.file("hold"), nil, 0o600))
	require.NoError(t, s.Promote(t.Context()))
	s.waitLogged("received promote request")
	require.True(t, must(s.StandbySignal()))
	s.wait("it says so", func() bool { return must(s.Promoting(t.Context())) })
	require.True(t, s.status().InRecovery)
	require.NoError(t, os.Remove(s.file("hold")))
	s.wait("promoted", func() bool { return !must(s.Promoting(t.Context())) })
	require.False(t, s.status().InRecovery)
}

// The order has not been heard: the startup process is frozen. It is gone with a restart.
func TestRealPromotingUnheard(t *testing.T) {
	primary := newPrimary(t).start()
	s := newStandby(t, primary, "b").start()
	primary.waitStreaming("b")
	s.freeze(s.process("startup"))
	require.NoError(t, s.Promote(t.Context()))
	require.True(t, must(s.StandbySignal()))
	require.True(t, must(s.Promoting(t.Context())))
	s.stop(Fast)
	require.Equal(t, StateShutDownRecovery, s.state())
	s.start()
	require.False(t, must(s.fileExists(promoteFile)))
	require.False(t, must(s.Promoting(t.Context())))
	primary.write()
	primary.waitStreaming("b")
	require.True(t, s.status().InRecovery)
}

// postmaster.pid came with the data from another machine, or from before a boot:
// its process ID and its shared memory are somebody else's here.
func TestRealPidFileOfAnotherHost(t *testing.T) {
	other := newPrimary(t).start()
	theirs := string(must(os.ReadFile(other.data("postmaster.pid"))))
	lines := strings.Split(theirs, "\n")
	lines[pidFileLineShared] = "  4711         0" // a key of its own; the ID may be anybody's
	theirs = strings.Join(lines, "\n")
	mine := newPrimary(t)
	for what, text := range map[string]string{
		"another instance's":   theirs,
		"with our directory":   strings.Replace(theirs, other.file("data"), mine.file("data"), 1),
		"nobody's number":      strings.Join(append([]string{"4000000"}, lines[1:]...), "\n"),
		"this test's number":   strings.Join(append([]string{itoa(os.Getpid())}, lines[1:]...), "\n"),
		"one of root's":        strings.Join(append([]string{"1"}, lines[1:]...), "\n"),
		"of a user's process":  strings.Join(append([]string{itoa(other.process("checkpointer"))}, lines[1:]...), "\n"),
		"of a single user run": "-" + theirs,
	} {
		mine.plant("postmaster.pid", text)
		found := mine.processes()
		require.Equal(t, Processes{}, found, what)
		require.NoError(t, mine.Shutdown(t.Context(), Kill), what)
		require.NoError(t, mine.KillOrphans(t.Context()), what)
		require.Equal(t, StatusNone, mine.PostmasterStatus(), what)
	}
	require.NotZero(t, other.processes().Postmaster, "the other one was left alone")
	require.Equal(t, "1", other.sql("SELECT 1"))
}

// The disk of pg_wal is full: the server is gone, and cannot come back before
// there is room. It loses nothing that it had.
func TestRealLogDiskFull(t *testing.T) {
	s := newPrimary(t)
	s.tmpfs("pg_wal", "48m")
	s.configure("min_wal_size = 32MB", "max_wal_size = 1GB")
	s.start()
	s.write()
	c := s.open()
	s.wait("the server gives up", func() bool {
		_, err := ask(t.Context(), c, "INSERT INTO public.t SELECT generate_series(1, 100000)")
		return err != nil
	})
	s.wait("nothing runs, and nothing answers", func() bool {
		found := s.processes()
		c, err := s.Connect(t.Context())
		closeIf(c)
		return !found.Running() && IsRefused(err)
	})
	require.NotEqual(t, StateShutDown, s.state())
	require.NoError(t, s.Shutdown(t.Context(), Fast))
	require.Contains(t, s.logText(), "No space left on device")

	// It is set up and started as a standby; what it had is there.
	require.NoError(t, s.SetStandby(t.Context()))
	launched, err := s.Launch(t.Context())
	require.NoError(t, err)
	s.wait("it gives up or comes up", func() bool {
		ended, _ := launched.Exited()
		return ended || s.PostmasterStatus() == StatusReady
	})
	ended, _ := launched.Exited()
	t.Log("with a full disk it gives up:", ended)
	if !ended {
		require.True(t, s.status().InRecovery)
		s.stop(Fast)
	}
	s.fill("pg_wal/junk")
	require.ErrorIs(t, s.SkipTimeline(t.Context(), 7), syscall.ENOSPC)
	require.NoError(t, s.SkipTimeline(t.Context(), 7), "an empty file does as well")
	require.NoError(t, os.Remove(s.data("pg_wal/junk")))

	require.NoError(t, syscall.Mount("", s.data("pg_wal"), "", syscall.MS_REMOUNT, "size=512m"))
	s.start()
	require.True(t, s.status().InRecovery)
	s.wait("it has replayed all", func() bool { return s.standing().Complete })
	require.NotEqual(t, "0", s.sql("SELECT count(*) FROM public.t"))
	s.promote()
	s.write()
}

// tmpfs moves a directory of the data to a file system of that size.
func (s *server) tmpfs(name, size string) {
	s.t.Helper()
	kept := s.file("kept")
	require.NoError(s.t, os.Rename(s.data(name), kept))
	require.NoError(s.t, os.Mkdir(s.data(name), 0o700))
	require.NoError(s.t, syscall.Mount("tmpfs", s.data(name), "tmpfs", 0, "size="+size))
	s.t.Cleanup(func() { require.NoError(s.t, syscall.Unmount(s.data(name), syscall.MNT_DETACH)) })
	s.own(s.data(name))
	entries, err := filepath.Glob(kept + "/*")
	require.NoError(s.t, err)
	for _, from := range entries {
		out, err := exec.Command("cp", "-a", from, s.data(name)).CombinedOutput()
		require.NoError(s.t, err, string(out))
	}
}

// fill takes the rest of the disk.
func (s *server) fill(name string) {
	s.t.Helper()
	f, err := os.Create(s.data(name))
	require.NoError(s.t, err)
	defer f.Close()
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	require.ErrorIs(s.t, err, syscall.ENOSPC)
}

// How long it takes to end a server that does not want to.
func TestRealImmediateShutdownIsBounded(t *testing.T) {
	s := newPrimary(t).start()
	session := int(s.open().conn.PID())
	began := time.Now()
	require.NoError(t, s.Shutdown(t.Context(), Immediate))
	_ = syscall.Kill(session, syscall.SIGSTOP)
	s.waitGone()
	require.Less(t, time.Since(began), 20*time.Second, "the postmaster kills what does not end within 5 s")
}
