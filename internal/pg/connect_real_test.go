//go:build realpg

package pg

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pgsqlms/internal/wal"
)

func TestRealConnectsByPeerAsTheSystemUser(t *testing.T) {
	s := newPrimary(t).start()
	require.Equal(t, "postgres", s.sql("SELECT current_user"))
	require.Equal(t, "peer", s.sql("SELECT auth_method FROM pg_hba_file_rules WHERE type = 'local' LIMIT 1"))
	isRoot(t)
}

// The cluster manager's environment has nothing to say.
func TestRealIgnoresTheEnvironment(t *testing.T) {
	s := newPrimary(t).start()
	home := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(home, ".pg_service.conf"), []byte("[other]\nhost=/nowhere\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(home, ".pgpass"), []byte("*:*:*:*:secret\n"), 0o600))
	for name, value := range map[string]string{
		"HOME": home, "LANG": "fr_FR.UTF-8",
		"PGHOST": "/nowhere", "PGPORT": "1", "PGDATABASE": "none", "PGUSER": "nobody", "PGPASSWORD": "wrong",
		"PGPASSFILE": home + "/.pgpass", "PGOPTIONS": "-c statement_timeout=1 -c search_path=nowhere", "PGTZ": "nonsense",
		"PGSERVICE": "missing", "PGSERVICEFILE": home + "/.pg_service.conf", "PGSSLMODE": "nonsense", "PGSSLCERTMODE": "",
		"PGSSLROOTCERT": "/nowhere", "PGTARGETSESSIONATTRS": "standby", "PGCONNECT_TIMEOUT": "x", "PGAPPNAME": "other",
		"PGREQUIREAUTH": "nonsense", "PGCHANNELBINDING": "require", "PGMINPROTOCOLVERSION": "9", "PGDATA": "/nowhere",
	} {
		t.Setenv(name, value)
	}
	require.Equal(t, applicationName, s.sql("SHOW application_name"))
	for name, value := range map[string]string{ // the first connection has removed them
		"PGOPTIONS": "-c statement_timeout=1", "PGSERVICE": "missing", "PGSSLMODE": "nonsense",
	} {
		t.Setenv(name, value)
	}
	require.Equal(t, "0", s.sql("SHOW statement_timeout"))
	require.Equal(t, StateInProduction, s.state())
	values, err := s.Settings(t.Context(), "port", "data_directory")
	require.NoError(t, err)
	require.Equal(t, map[string]string{"port": "5432", "data_directory": s.file("data")}, values)
}

// A role's settings, made for applications, must not reach the monitor.
func TestRealOverridesTheRolesSettings(t *testing.T) {
	primary := newPrimary(t).start()
	primary.sql(`ALTER ROLE postgres SET statement_timeout = '1ms'`)
	primary.sql(`ALTER ROLE postgres SET lock_timeout = '1ms'`)
	primary.sql(`ALTER ROLE postgres SET search_path = 'public'`)
	primary.sql(`ALTER ROLE postgres SET default_transaction_isolation = 'serializable'`)
	primary.sql(`ALTER DATABASE postgres SET default_transaction_read_only = on`)
	standby := newStandby(t, primary, "b").start()
	for _, s := range []*server{primary, standby} {
		require.Equal(t, "0|0|pg_catalog|read committed", s.sql(
			"SELECT pg_sleep(0.02); SELECT concat_ws('|', current_setting('statement_timeout'), current_setting('lock_timeout'),"+
				" current_setting('search_path'), current_setting('transaction_isolation'))"))
		require.Equal(t, s == standby, s.status().InRecovery)
		_, err := s.Position(t.Context())
		require.NoError(t, err)
	}
	_, err := standby.plain(nil) // what it would be like without
	if err == nil {
		c := &Conn{conn: must(standby.plain(nil))}
		_, err = ask(t.Context(), c, "SELECT pg_catalog.pg_sleep(0.02)")
	}
	require.Error(t, err)
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func TestRealTooManyConnections(t *testing.T) {
	s := newPrimary(t)
	s.configure("max_connections = 5", "superuser_reserved_connections = 1", "max_wal_senders = 2")
	s.start()
	for {
		_, err := s.plain(nil)
		if err != nil {
			require.True(t, IsTooManyConnections(err), err)
			break
		}
	}
	_, err := s.Connect(t.Context())
	require.True(t, IsTooManyConnections(err), err)
	require.False(t, IsStartingUp(err) || IsRefused(err) || IsTimeout(err) || IsAuth(err) || IsOtherInstance(err))
	require.NotContains(t, err.Error(), "\n")
	t.Log(err)
}

func TestRealRefusedWhereNobodyListens(t *testing.T) {
	s := newPrimary(t)
	_, err := s.Connect(t.Context())
	require.True(t, IsRefused(err), err)
	require.False(t, IsTimeout(err))

	s.start()
	s.stop(Kill) // leaves the socket behind
	require.FileExists(t, s.address())
	_, err = s.Connect(t.Context())
	require.True(t, IsRefused(err), err)
	t.Log(err)
}

func TestRealAuthenticationRefused(t *testing.T) {
	s := newPrimary(t)
	require.NoError(t, os.WriteFile(s.data("pg_hba.conf"), []byte("local all all reject\n"), 0o600))
	s.start()
	_, err := s.Connect(t.Context())
	require.True(t, IsAuth(err), err)
	t.Log(err)
}

func TestRealPhasesWithoutConnections(t *testing.T) {
	t.Run("a standby that is not consistent", func(t *testing.T) {
		primary := newPrimary(t).start()
		s := newServer(t)
		require.NoError(t, tool("pg_basebackup", "-D", s.file("data"), "-h", primary.file("socket"), "-c", "fast", "--no-sync", "-X", "stream"))
		s.configure(s.basics()...)
		require.NoError(t, s.SetStandby(t.Context()))
		s.cutLogAfterCheckpoint()
		label, err := s.BackupLabel()
		require.NoError(t, err)
		require.True(t, label)
		s.awaitPhase([]Phase{PhaseStarting, PhaseNotConsistent}[has(14, s)])
		require.Equal(t, StatusStarting, s.PostmasterStatus())
	})
	t.Run("a standby without hot standby", func(t *testing.T) {
		primary := newPrimary(t).start()
		s := newStandby(t, primary, "b")
		s.configure("hot_standby = off")
		s.awaitPhase([]Phase{PhaseStarting, PhaseNoHotStandby}[has(14, s)])
		s.wait("its status says so", func() bool { return s.PostmasterStatus() == StatusStandby })
	})
	t.Run("shutting down", func(t *testing.T) {
		s := newPrimary(t).start()
		busy := s.open() // a smart shutdown waits for it
		signal(t, s.processes().Postmaster, syscall.SIGTERM)
		var err error
		s.wait("no new connections", func() bool { c, e := s.Connect(t.Context()); closeIf(c); err = e; return e != nil })
		require.True(t, IsStartingUp(err), err)
		require.Equal(t, PhaseShuttingDown, NotReady(err))
		require.Equal(t, StatusStopping, s.PostmasterStatus())
		busy.Close()
		s.waitGone()
	})
}

func closeIf(c *Conn) {
	if c != nil {
		c.Close()
	}
}

func has(major int, s *server) int {
	if must(s.Version()) >= major {
		return 1
	}
	return 0
}

// awaitPhase launches a server that will accept no connections, and waits for
// the reason it is to give in the end.
func (s *server) awaitPhase(want Phase) {
	s.t.Helper()
	_, err := s.Launch(s.t.Context())
	require.NoError(s.t, err)
	s.wait("the server says: "+string(want), func() bool {
		c, err := s.Connect(s.t.Context())
		closeIf(c)
		require.Error(s.t, err)
		require.True(s.t, IsRefused(err) || IsStartingUp(err), err)
		return NotReady(err) == want
	})
}

// cutLogAfterCheckpoint leaves the write-ahead log of a base backup up to the
// checkpoint it begins with, so that the backup's end is never reached.
func (s *server) cutLogAfterCheckpoint() {
	s.t.Helper()
	control, err := s.Control(s.t.Context())
	require.NoError(s.t, err)
	const segmentBytes = 16 << 20
	name := fmt.Sprintf("pg_wal/%08X%s", uint32(control.Timeline), wal.SegmentSuffix(control.Checkpoint, segmentBytes))
	segment, err := os.ReadFile(s.data(name))
	require.NoError(s.t, err)
	start := uint64(control.Checkpoint) % segmentBytes
	length := uint64(binary.NativeEndian.Uint32(segment[start:]))
	clear(segment[start+length:])
	require.NoError(s.t, os.WriteFile(s.data(name), segment, 0o600))
}

// A stopped postmaster takes no connection from its queue, and then the queue
// is full. Both must end with the deadline, and both are timeouts.
func TestRealStoppedPostmasterTimesOut(t *testing.T) {
	s := newPrimary(t)
	s.configure("max_connections = 3", "superuser_reserved_connections = 1", "max_wal_senders = 1") // a short queue
	s.start()
	master := s.processes().Postmaster
	signal(t, master, syscall.SIGSTOP)
	s.wait("it is stopped", func() bool { return s.processes().Stopped })
	full, queued := false, []int{}
	for n := 0; n < 10000 && !full; n++ {
		fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
		require.NoError(t, err)
		queued = append(queued, fd)
		if n%20 == 0 {
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			_, err := s.Connect(ctx)
			cancel()
			require.True(t, IsTimeout(err), err)
			require.False(t, IsRefused(err), err)
		}
		full = syscall.Connect(fd, &syscall.SockaddrUnix{Name: s.address()}) == syscall.EAGAIN
	}
	require.True(t, full, "the queue of the socket never filled up")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := s.Connect(ctx)
	require.True(t, IsTimeout(err), err)
	require.ErrorIs(t, ctx.Err(), context.DeadlineExceeded, "a full queue may empty at any moment: it is tried until the end")

	for _, fd := range queued { // the server would wait for their first message
		syscall.Close(fd)
	}
	require.NoError(t, s.Shutdown(t.Context(), Fast)) // and wakes it
	s.waitGone()
	require.Equal(t, StateShutDown, s.state())
}

// With a wrong port or directory another instance answers. Its role is none of
// this one's business.
func TestRealRefusesAnotherInstance(t *testing.T) {
	one := newPrimary(t).start()
	other := newPrimary(t).start()
	mistaken := New(one.cfg)
	mistaken.cfg.Host = other.cfg.Host
	_, err := mistaken.Connect(t.Context())
	require.True(t, IsOtherInstance(err), err)
	_, err = mistaken.Position(t.Context())
	require.True(t, IsOtherInstance(err), err)
	t.Log(err)
}

// Over TCP, too.
func TestRealRefusesAnotherInstanceOverTCP(t *testing.T) {
	one, other := newPrimary(t).overTCP(), newPrimary(t).overTCP()
	for _, s := range []*server{one, other} {
		s.sql("SELECT 1")
		_, err := s.Position(t.Context()) // over a connection for replication
		require.NoError(t, err)
	}
	mistaken := New(one.cfg)
	mistaken.cfg.Port = other.cfg.Port
	_, err := mistaken.Connect(t.Context())
	require.True(t, IsOtherInstance(err), err)
	_, err = mistaken.Position(t.Context())
	require.True(t, IsOtherInstance(err), err)
	t.Log(err)
	other.wait("nothing of the refused connections is left", func() bool {
		return other.sql("SELECT count(*) FROM pg_stat_activity WHERE backend_type IN ('client backend', 'walsender')") == "1"
	})
}

// overTCP starts the server, which then trusts everybody on this machine.
func (s *server) overTCP() *server {
	s.t.Helper()
	s.cfg.Host, s.cfg.Port = "127.0.0.1", freePort(s.t)
	s.configure("listen_addresses = '127.0.0.1'", fmt.Sprintf("port = %d", s.cfg.Port))
	require.NoError(s.t, os.WriteFile(s.data("pg_hba.conf"),
		[]byte("host all all 127.0.0.1/32 trust\nhost replication all 127.0.0.1/32 trust\n"), 0o600))
	return s.start()
}

func freePort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}

// Anybody can make a socket in /tmp and play the server.
func TestRealRefusesAStrangersSocket(t *testing.T) {
	s := newPrimary(t)
	listener, err := net.Listen("unix", s.address()) // by root, who is not the system user
	require.NoError(t, err)
	defer listener.Close()
	require.NoError(t, os.Chmod(s.address(), 0o777))
	s.plant("postmaster.pid", strconv.Itoa(os.Getpid()))
	_, err = s.Connect(t.Context())
	require.True(t, IsOtherInstance(err), err)
	require.False(t, IsRefused(err) || IsTimeout(err))
}

func TestRealPasswordOverTCP(t *testing.T) {
	port := freePort(t)
	home := filepath.Join(t.TempDir(), "home")
	s := newPrimary(t)
	s.configure("listen_addresses = '127.0.0.1'", fmt.Sprintf("port = %d", port))
	require.NoError(t, os.WriteFile(s.data("pg_hba.conf"), []byte("local all all peer\nhost all all 127.0.0.1/32 scram-sha-256\n"), 0o600))
	s.cfg.Port = port
	s.start()
	s.sql("SET password_encryption = 'scram-sha-256'; ALTER ROLE postgres PASSWORD 'a:b'")

	s.cfg.Host, s.cfg.User.Home = "127.0.0.1", home
	require.NoError(t, os.Chmod(filepath.Dir(home), 0o755))
	require.NoError(t, os.Chmod(filepath.Dir(filepath.Dir(home)), 0o755))
	require.NoError(t, os.Mkdir(home, 0o700))
	passfile := filepath.Join(home, ".pgpass")
	require.NoError(t, os.WriteFile(passfile, []byte("127.0.0.1:*:*:postgres:a\\:b\n"), 0o600))
	s.own(home, passfile)
	c, err := s.Connect(t.Context())
	require.NoError(t, err)
	defer c.Close()
	_, err = c.Status(t.Context())
	require.NoError(t, err)

	require.NoError(t, os.Chmod(passfile, 0o640)) // which libpq ignores
	_, err = s.Connect(t.Context())
	require.Error(t, err)
	require.True(t, IsAuth(err) || strings.Contains(err.Error(), "password"), err)

	require.NoError(t, os.Remove(passfile))
	require.NoError(t, os.Symlink("/etc/shadow", passfile))
	_, err = s.Connect(t.Context())
	require.Error(t, err)

	require.NoError(t, os.Remove(passfile))
	require.NoError(t, syscall.Mkfifo(passfile, 0o600))
	s.own(passfile)
	_, err = s.Connect(t.Context())
	require.Error(t, err)
	t.Log(err)
}

// A query ends with its context, and the server's silence is a timeout.
func TestRealQueryTimesOut(t *testing.T) {
	s := newPrimary(t).start()
	c := s.open()
	children := s.processes().Children
	require.NotEmpty(t, children)
	pid := int(c.conn.PID())
	require.Contains(t, children, pid)
	signal(t, pid, syscall.SIGSTOP)
	defer signal(t, pid, syscall.SIGCONT)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err := c.Status(ctx)
	require.True(t, IsTimeout(err), err)
	require.Less(t, time.Since(began), 5*time.Second)
}
