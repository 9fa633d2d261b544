//go:build realpg

package pg

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"pgsqlms/internal/command"
)

// These tests start real servers. They run as root, because acting as another
// user is half of what they test, and they fail where PostgreSQL is missing: a
// suite that skips itself proves nothing.

// patience bounds every wait of a test for something to come about.
const patience = 60 * time.Second

const serverPort = 5432 // of the sockets' names; nothing listens on TCP

// machine is what the tests find on the machine.
type machine struct {
	bin      string
	user     command.User
	template string // a data directory fresh from initdb
}

var here machine

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "pgsqlms-pg-")
	if err == nil {
		defer os.RemoveAll(dir)
		err = prepare(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "the tests with a real PostgreSQL cannot run:", err)
		return 1
	}
	return m.Run()
}

func prepare(dir string) (err error) {
	if os.Geteuid() != 0 {
		return errors.New("expected to run as root")
	}
	if here.bin, err = findBin(); err != nil {
		return err
	}
	if here.user, err = command.LookupUser(context.Background(), "postgres"); err != nil {
		return err
	}
	if err = errors.Join(os.Chmod(dir, 0o755), os.Chown(dir, int(here.user.UID), int(here.user.GID))); err != nil {
		return err
	}
	here.template = filepath.Join(dir, "template")
	here.user.Home = dir // none of the machine's own password files
	return tool("initdb", "-D", here.template, "-A", "peer", "--no-sync", "--no-locale", "-E", "UTF8")
}

// findBin is PGSQLMS_BINDIR, or the highest version below /usr/lib/postgresql.
func findBin() (string, error) {
	if dir := os.Getenv("PGSQLMS_BINDIR"); dir != "" {
		return dir, nil
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil || len(found) == 0 {
		return "", errors.New("no PostgreSQL below /usr/lib/postgresql, and PGSQLMS_BINDIR is not set")
	}
	version := func(n int) int {
		v, _ := strconv.Atoi(filepath.Base(filepath.Dir(found[n])))
		return v
	}
	sort.Slice(found, func(a, b int) bool { return version(a) > version(b) })
	return found[0], nil
}

// tool runs one of PostgreSQL's programs as the system user.
func tool(name string, args ...string) error {
	out, err := command.Run(context.Background(), command.Cmd{
		Path: filepath.Join(here.bin, name), Args: args, User: &here.user,
	})
	if err == nil && out.Code != 0 {
		err = fmt.Errorf("%s exited with %d: %s", name, out.Code, out.Stderr)
	}
	return err
}

// server is an instance with a directory of its own.
type server struct {
	*Instance
	t   *testing.T
	dir string
}

// newServer lays out a directory; data comes from newPrimary or newStandby.
func newServer(t *testing.T, change ...func(*Config)) *server {
	t.Helper()
	dir, err := os.MkdirTemp("", "pg-") // short, for the path of the socket
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	require.NoError(t, os.Chmod(dir, 0o755))
	s := &server{t: t, dir: dir}
	require.NoError(t, os.Mkdir(s.file("socket"), 0o755))
	s.own(dir, s.file("socket"))
	config := Config{
		BinDir: here.bin, PGData: s.file("data"), Host: s.file("socket"), Port: serverPort,
		User: here.user, LogPath: s.file("log"),
	}
	for _, c := range change {
		c(&config)
	}
	s.Instance = New(config)
	t.Cleanup(s.kill)
	return s
}

func (s *server) file(name string) string { return filepath.Join(s.dir, name) }
func (s *server) data(name string) string { return filepath.Join(s.dir, "data", name) }

func (s *server) own(paths ...string) {
	s.t.Helper()
	for _, path := range paths {
		require.NoError(s.t, os.Lchown(path, int(here.user.UID), int(here.user.GID)))
	}
}

func (s *server) kill() {
	if s.t.Failed() {
		log, _ := readRegular(s.file("log"), maxLargeFile) // a test may have planted something there
		s.t.Logf("log of %s:\n%s", s.dir, tail(string(log), 40))
	}
	end := time.Now().Add(patience)
	for time.Now().Before(end) {
		found, err := s.Processes()
		if err == nil && !found.Running() {
			s.removeSharedMemory()
			return
		}
		_ = s.Shutdown(context.Background(), Kill)
		_ = s.KillOrphans(context.Background())
		time.Sleep(10 * time.Millisecond)
	}
	s.t.Errorf("%s: something still runs", s.dir)
}

// removeSharedMemory removes the segment a killed server leaves to its
// successor, which it will not have.
func (s *server) removeSharedMemory() {
	file, err := s.readPidFile()
	if err == nil && file.Shared.ID >= 0 {
		exec.Command("ipcrm", "-m", strconv.Itoa(file.Shared.ID)).Run() // it may be gone
	}
}

func tail(text string, lines int) string {
	all := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// configure appends lines to postgresql.conf.
func (s *server) configure(lines ...string) {
	s.t.Helper()
	f, err := os.OpenFile(s.data("postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(s.t, err)
	defer f.Close()
	_, err = fmt.Fprintln(f, strings.Join(lines, "\n"))
	require.NoError(s.t, err)
}

// basics are every server's settings.
func (s *server) basics() []string {
	return []string{
		"listen_addresses = ''",
		"unix_socket_directories = '" + s.file("socket") + "'",
		"fsync = off",
		"shared_buffers = 4MB",
		"hot_standby = on",
		"wal_level = replica",
		"wal_retrieve_retry_interval = 100ms",
	}
}

// newPrimary is a stopped instance, fresh from initdb.
func newPrimary(t *testing.T, change ...func(*Config)) *server {
	t.Helper()
	s := newServer(t, change...)
	out, err := exec.Command("cp", "-a", here.template, s.file("data")).CombinedOutput()
	require.NoError(t, err, string(out))
	s.configure(s.basics()...)
	return s
}

// newStandby is a stopped copy of a running instance, with standby.signal.
func newStandby(t *testing.T, of *server, name string) *server {
	t.Helper()
	s := newServer(t)
	require.NoError(t, tool("pg_basebackup", "-D", s.file("data"), "-h", of.file("socket"), "-c", "fast", "--no-sync", "-X", "stream"))
	s.configure(s.basics()...)
	s.follow(of, name)
	require.NoError(t, s.SetStandby(t.Context()))
	return s
}

func (s *server) follow(of *server, name string) {
	s.configure(fmt.Sprintf("primary_conninfo = 'host=%s port=%d user=%s application_name=%s'",
		of.file("socket"), serverPort, here.user.Name, name))
}

// start launches the server and waits until it takes connections.
func (s *server) start() *server {
	s.t.Helper()
	launched, err := s.Launch(s.t.Context())
	require.NoError(s.t, err)
	s.wait("the server takes connections", func() bool {
		ended, how := launched.Exited()
		require.False(s.t, ended, "the server ended: %v", how)
		return s.PostmasterStatus() == StatusReady
	})
	return s
}

// stop shuts the server down and waits for the end of everything.
func (s *server) stop(mode ShutdownMode) {
	s.t.Helper()
	require.NoError(s.t, s.Shutdown(s.t.Context(), mode))
	s.waitGone()
}

func (s *server) waitGone() {
	s.t.Helper()
	s.wait("nothing runs", func() bool {
		found, err := s.Processes()
		require.NoError(s.t, err)
		return !found.Running()
	})
}

func (s *server) wait(what string, condition func() bool) {
	s.t.Helper()
	waitFor(s.t, what, condition)
}

func waitFor(t *testing.T, what string, condition func() bool) {
	t.Helper()
	end := time.Now().Add(patience)
	for !condition() {
		if time.Now().After(end) {
			t.Fatalf("waited %s for nothing: %s", patience, what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// open connects, and closes at the end of the test.
func (s *server) open() *Conn {
	s.t.Helper()
	c, err := s.Connect(s.t.Context())
	require.NoError(s.t, err)
	s.t.Cleanup(c.Close)
	return c
}

// sql runs statements and returns the first value of the last one's first row.
func (s *server) sql(statements string) string {
	s.t.Helper()
	c := s.open()
	defer c.Close()
	value, err := ask(s.t.Context(), c, statements)
	require.NoError(s.t, err)
	return value
}

func ask(ctx context.Context, c *Conn, statements string) (string, error) {
	tables, err := c.query(ctx, statements)
	if err != nil || len(tables) == 0 || len(tables[len(tables)-1]) == 0 {
		return "", err
	}
	return tables[len(tables)-1][0].text(0), nil
}

func (s *server) status() Status {
	s.t.Helper()
	c := s.open()
	defer c.Close()
	status, err := c.Status(s.t.Context())
	require.NoError(s.t, err)
	return status
}

// write makes some write-ahead log.
func (s *server) write() {
	s.t.Helper()
	s.sql("CREATE TABLE IF NOT EXISTS public.t (n int); INSERT INTO public.t SELECT generate_series(1, 1000)")
}

// waitStreaming waits until a standby has flushed all its primary has.
func (s *server) waitStreaming(standby string) {
	s.t.Helper()
	s.wait(standby+" has everything", func() bool {
		status := s.status()
		for _, row := range status.Standbys {
			if row.ApplicationName == standby && row.State == "streaming" && row.Replay != nil {
				return *row.Replay >= status.Current.LSN
			}
		}
		return false
	})
}

func (s *server) processes() Processes {
	s.t.Helper()
	found, err := s.Processes()
	require.NoError(s.t, err)
	return found
}

func (s *server) state() State {
	s.t.Helper()
	control, err := s.Control(s.t.Context())
	require.NoError(s.t, err)
	return control.State
}

// signal is for what a test does to processes; it is no part of what is tested.
func signal(t *testing.T, pid int, what syscall.Signal) {
	t.Helper()
	require.NoError(t, syscall.Kill(pid, what))
}

// plain connects the way any client does, with no regard for our settings.
func (s *server) plain(settings map[string]string) (*pgconn.PgConn, error) {
	config, err := s.connConfig()
	if err != nil {
		return nil, err
	}
	config.RuntimeParams = settings
	conn, err := pgconn.ConnectConfig(s.t.Context(), config)
	if err == nil {
		s.t.Cleanup(func() { conn.Close(context.Background()) })
	}
	return conn, err
}

func isRoot(t *testing.T) {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	require.NoError(t, err)
	require.True(t, bytes.Contains(status, []byte("\nUid:\t0\t0\t0\t0\n")), "the process is no longer root:\n%s", status)
}
