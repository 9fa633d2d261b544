//go:build realpg

package pg

import (
	"context"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pgsqlms/internal/wal"
)

// The server outlives the context it was launched with, has a session of its
// own, and holds none of our files but its log.
func TestRealLaunchedServerIsOnItsOwn(t *testing.T) {
	s := newPrimary(t)
	ctx, cancel := context.WithCancel(t.Context())
	launched, err := s.Launch(ctx)
	require.NoError(t, err)
	cancel()
	s.wait("it takes connections", func() bool { return s.PostmasterStatus() == StatusReady })
	session, _, e := syscall.RawSyscall(syscall.SYS_GETSID, uintptr(launched.Pid()), 0, 0)
	require.Zero(t, e)
	require.Equal(t, launched.Pid(), int(session))
	for fd, want := range map[string]string{"0": "/dev/null", "1": s.file("log"), "2": s.file("log")} {
		link, err := os.Readlink("/proc/" + itoa(launched.Pid()) + "/fd/" + fd)
		require.NoError(t, err)
		require.Equal(t, want, link)
	}
	environment, err := os.ReadFile("/proc/" + itoa(launched.Pid()) + "/environ")
	require.NoError(t, err)
	require.NotContains(t, string(environment), "GOCACHE")
	info, err := os.Stat(s.file("log"))
	require.NoError(t, err)
	require.Equal(t, here.user.UID, info.Sys().(*syscall.Stat_t).Uid)
	ended, _ := launched.Exited()
	require.False(t, ended)
	s.stop(Fast)
	<-launched.Done()
	ended, how := launched.Exited()
	require.True(t, ended)
	require.NoError(t, how)
}

func itoa(n int) string { return strconv.Itoa(n) }

// There is no moment at which a launched server looks like none: a stop that
// came then would report success. It may look like an orphan, before it has
// written its postmaster.pid, but not for what it is not.
func TestRealLaunchedServerIsSeenAtOnce(t *testing.T) {
	for range 20 {
		s := newPrimary(t)
		launched, err := s.Launch(t.Context())
		require.NoError(t, err)
		require.Equal(t, launched.Pid(), s.processes().Postmaster)
		s.stop(Kill)
	}
}

// A server that gives up is seen to, at once.
func TestRealLaunchedServerGivesUp(t *testing.T) {
	s := newPrimary(t)
	s.configure("no_such_setting = 1")
	launched, err := s.Launch(t.Context())
	require.NoError(t, err)
	select {
	case <-launched.Done():
	case <-time.After(patience):
		t.Fatal("it did not end")
	}
	ended, how := launched.Exited()
	require.True(t, ended)
	require.ErrorContains(t, how, "exited with code 1")
	log, err := os.ReadFile(s.file("log"))
	require.NoError(t, err)
	require.Contains(t, string(log), "no_such_setting")
	_, err = s.Settings(t.Context(), "port")
	require.ErrorContains(t, err, "configuration file")
	t.Log(err)
}

func TestRealLaunchWithoutAProgram(t *testing.T) {
	s := newPrimary(t)
	s.cfg.BinDir = "/nowhere"
	_, err := s.Launch(t.Context())
	require.ErrorIs(t, err, os.ErrNotExist)
	require.NoError(t, s.Shutdown(t.Context(), Fast))
	require.Error(t, s.Promote(t.Context()))
	_, err = s.Control(t.Context())
	require.Error(t, err)
}

// start_opts reach the server as they are meant, and no shell.
func TestRealStartOpts(t *testing.T) {
	s := newPrimary(t)
	trap := s.file("trap")
	require.NoError(t, os.Rename(s.data("postgresql.conf"), s.file("my conf")))
	s.cfg.StartOpts = `-c config_file='` + s.file("my conf") + `' -c cluster_name='$(touch ` + trap + `)' -c "log_line_prefix=%p \"x\" " -c listen_addresses=`
	values, err := s.Settings(t.Context(), "config_file", "cluster_name", "log_line_prefix", "max_connections")
	require.NoError(t, err)
	require.Equal(t, map[string]string{
		"config_file": s.file("my conf"), "cluster_name": "$(touch " + trap + ")",
		"log_line_prefix": `%p "x" `, "max_connections": "100",
	}, values)
	s.start()
	require.Equal(t, "$(touch "+trap+")", s.sql("SHOW cluster_name"))
	require.Equal(t, `%p "x" `, s.sql("SHOW log_line_prefix"))
	require.NoFileExists(t, trap)
	require.NoError(t, s.Reload(t.Context()))
	s.stop(Fast)

	s.cfg.StartOpts = "-c cluster_name=$(touch " + trap + ")"
	_, err = s.Launch(t.Context())
	require.ErrorContains(t, err, "start_opts")
	_, err = s.Settings(t.Context(), "port")
	require.ErrorContains(t, err, "start_opts")
	require.NoFileExists(t, trap)
}

// A configuration directory apart from the data, as Debian has it.
func TestRealConfigurationApart(t *testing.T) {
	s := newPrimary(t, func(c *Config) { c.DataDir = c.PGData })
	require.NoError(t, os.Mkdir(s.file("conf"), 0o755))
	for _, name := range []string{"postgresql.conf", "pg_hba.conf", "pg_ident.conf"} {
		require.NoError(t, os.Rename(s.data(name), s.file("conf/"+name)))
	}
	f, err := os.OpenFile(s.file("conf/postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.WriteString("data_directory = '" + s.file("data") + "'\n")
	require.NoError(t, err)
	require.NoError(t, f.Close())
	s.cfg.PGData = s.file("conf")
	require.NoError(t, s.CheckDataDir())
	s.start()
	require.False(t, s.status().InRecovery)
	s.stop(Fast)
	require.NoError(t, s.SetStandby(t.Context()))
	s.start()
	require.True(t, s.status().InRecovery)
	require.NoError(t, s.Promote(t.Context()))
	s.wait("promoted", func() bool { return !s.status().InRecovery })
	there, err := s.StandbySignal()
	require.NoError(t, err)
	require.False(t, there, "the server removes it")
}

func TestRealPlantedLog(t *testing.T) {
	s := newPrimary(t)
	for what, plant := range plantings(t, s.file("log")) {
		require.NoError(t, os.RemoveAll(s.file("log")))
		plant()
		_, err := s.Launch(t.Context())
		require.ErrorIs(t, err, ErrNotRegular, what)
	}
	require.NoError(t, os.RemoveAll(s.file("log")))
	s.cfg.LogPath = ""
	s.start()
}

// A crashed primary comes up as a standby when told to, after replaying its
// own log, and pg_control tells its way.
func TestRealStatesOfALife(t *testing.T) {
	s := newPrimary(t)
	require.Equal(t, StateShutDown, s.state())
	s.start()
	require.Equal(t, StateInProduction, s.state())
	s.write()
	s.stop(Immediate)
	require.Equal(t, StateInProduction, s.state(), "crashed")
	require.NoError(t, s.SetStandby(t.Context()))
	s.start()
	require.True(t, s.status().InRecovery)
	require.Equal(t, StateArchiveRecovery, s.state())
	p := s.position()
	require.Greater(t, p.LSN, must(s.Control(t.Context())).Checkpoint)
	s.stop(Fast)
	require.Equal(t, StateShutDownRecovery, s.state())
	s.start()
	require.NoError(t, s.Promote(t.Context()))
	s.wait("promoted", func() bool { return !s.status().InRecovery })
	s.wait("pg_control says so", func() bool { return s.state() == StateInProduction })
	s.stop(Fast)
	require.Equal(t, StateShutDown, s.state())
	control := must(s.Control(t.Context()))
	require.Equal(t, wal.Timeline(2), control.Timeline)
	require.Error(t, s.Promote(t.Context()), "nothing runs")
	t.Logf("%+v", control)
}

// A promotion that was begun by somebody who is gone may have come to its end.
func TestRealPromoteAPrimary(t *testing.T) {
	s := newPrimary(t).start()
	require.NoError(t, s.Promote(t.Context()))
	require.Equal(t, wal.Timeline(1), s.status().Current.Timeline)
	require.NoFileExists(t, s.data("promote"))
	s.stop(Fast)
	require.Error(t, s.Promote(t.Context()), "nothing runs")
}

func TestRealShutdownModes(t *testing.T) {
	for mode, want := range map[ShutdownMode]State{Fast: StateShutDown, Immediate: StateInProduction, Kill: StateInProduction} {
		s := newPrimary(t).start()
		s.open() // a session does not hold it up
		s.stop(mode)
		require.Equal(t, want, s.state(), mode)
		require.NoError(t, s.Shutdown(t.Context(), mode), "again")
	}
	s := newPrimary(t)
	require.Error(t, s.Shutdown(t.Context(), "smart"))
	require.Error(t, s.Reload(t.Context()))
}
