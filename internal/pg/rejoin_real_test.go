//go:build realpg

package pg

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pgsqlms/internal/wal"
)

const stallTest = time.Minute

// apart gives an old primary and a new one, a standby that was promoted: the old one has gone on writing, and is down, by
// a shutdown or a crash. Each has its configuration in its data directory.
func apart(t *testing.T, down ShutdownMode) (old, primary *server) {
	t.Helper()
	old = newPrimary(t)
	old.configure("wal_log_hints = on", "wal_keep_size = 1GB")
	old.start().write()
	primary = newStandby(t, old, "new")
	primary.configure("wal_log_hints = on", "wal_keep_size = 1GB")
	primary.start()
	old.waitStreaming("new")
	require.NoError(t, primary.Promote(t.Context()))
	primary.wait("promoted", func() bool { return !primary.status().InRecovery })
	primary.sql("CREATE TABLE public.theirs AS SELECT 1 AS n")
	old.sql("CREATE TABLE public.ours AS SELECT 1 AS n")
	old.stop(down)
	old.follow(primary, "old")
	return old, primary
}

func (s *server) conninfo() Conninfo {
	s.t.Helper()
	c, err := s.RejoinConninfo(s.t.Context())
	require.NoError(s.t, err)
	return c
}

func (s *server) lockRejoin() *Rejoin {
	s.t.Helper()
	r, err := s.LockRejoin()
	require.NoError(s.t, err)
	s.t.Cleanup(r.Close)
	return r
}

// compared asks the server that primary_conninfo names where this one, which does not run, stands.
func (s *server) compared() (RejoinControl, Source) {
	s.t.Helper()
	control, err := s.RejoinControl(s.t.Context())
	require.NoError(s.t, err)
	replayed, end := s.StoppedEnd(s.t.Context(), control)
	source, err := s.AskSource(s.t.Context(), s.conninfo(), replayed, end)
	require.NoError(s.t, err)
	require.Equal(s.t, control.System, source.System)
	require.Equal(s.t, 5*time.Minute, source.CheckpointTimeout)
	return control, source
}

// rejoined wants a server to follow, with its own files and the primary's data.
func (s *server) rejoined(primary *server, name string) {
	s.t.Helper()
	require.FileExists(s.t, s.data("standby.signal"))
	require.NoFileExists(s.t, s.data("theirs.conf"))
	require.FileExists(s.t, s.data("ours.conf"))
	require.NoFileExists(s.t, s.data("postmaster.pid"))
	left, err := filepath.Glob(s.file("data.pgsqlms-rejoin*"))
	require.NoError(s.t, err)
	require.Empty(s.t, left)
	s.start()
	primary.waitStreaming(name)
	require.Equal(s.t, "1", s.sql("SELECT n FROM public.theirs"))
	require.Equal(s.t, "f", s.sql("SELECT count(*) > 0 FROM pg_class WHERE relname = 'ours'"))
}

func (s *server) ownFile(name string) {
	s.t.Helper()
	require.NoError(s.t, os.WriteFile(s.data(name), []byte(name), 0o600))
	s.own(s.data(name))
}

// settledAt has the primary make the checkpoint without which pg_rewind does nothing.
func settledAt(t *testing.T, s *server) {
	t.Helper()
	require.NoError(t, s.CheckpointAt(t.Context(), s.conninfo()))
	source, err := s.AskRewindSource(t.Context(), s.conninfo())
	require.NoError(t, err)
	require.True(t, source.Settled())
	require.True(t, source.Allowed && source.FullPageWrites && source.MayCheckpoint)
	require.Zero(t, source.Tablespaces)
	size, err := s.AskSize(t.Context(), s.conninfo())
	require.NoError(t, err)
	require.Positive(t, size)
}

// An old primary, shut down or crashed, is rewound in a copy; the old data are kept.
func TestRealRejoinRewindsACopy(t *testing.T) {
	for name, down := range map[string]ShutdownMode{"shut down": Fast, "crashed": Kill} {
		t.Run(name, func(t *testing.T) {
			old, primary := apart(t, down)
			old.ownFile("ours.conf")
			primary.ownFile("theirs.conf")
			control, source := old.compared()
			require.Equal(t, down == Fast, control.Clean())
			require.True(t, control.Rewindable())
			require.NotNil(t, source.Divergence)
			require.Equal(t, wal.Timeline(1), source.Divergence.Left.Timeline)
			require.Positive(t, source.Divergence.Bytes)
			require.False(t, source.Divergence.Pending)

			settledAt(t, old)
			r := old.lockRejoin()
			if control.Clean() {
				require.NoError(t, r.Rewindable(t.Context(), old.conninfo(), stallTest))
			}
			require.NoError(t, r.Begin(t.Context()))
			found, err := old.UnfinishedRejoin()
			require.NoError(t, err)
			require.Equal(t, r.Dir(), found)
			copied, rewound := uint64(0), uint64(0)
			require.NoError(t, r.Copy(t.Context(), func(done uint64) { copied = done }))
			p, err := old.Premises(t.Context())
			require.NoError(t, err)
			require.True(t, p.Unfinished && p.Exists && p.Writable && len(p.Mounted) == 0 && p.Unremovable == "")
			require.Equal(t, p.Size, copied)
			require.NoError(t, r.Recover(t.Context()))
			require.NoError(t, r.Rewind(t.Context(), old.conninfo(), stallTest, func(done, total uint64) { rewound = max(rewound, done, total) }))
			require.Positive(t, rewound)
			before := old.state()
			kept, err := r.Finish(true, time.Unix(1_700_000_000, 0))
			require.NoError(t, err)
			require.Equal(t, old.file("data.before-rejoin-20231114T221320Z"), kept)
			old.rejoined(primary, "old")

			aside := New(Config{BinDir: here.bin, PGData: kept, User: here.user})
			was, err := aside.Control(t.Context())
			require.NoError(t, err)
			require.Equal(t, before, was.State, "what is kept is what was there")
		})
	}
}

// In place, and broken off before pg_rewind has changed anything: the data get their name back. Broken off later, there is
// no data directory, and the next one makes a copy with this node's own files.
func TestRealRejoinInPlaceBrokenOff(t *testing.T) {
	old, primary := apart(t, Fast)
	old.ownFile("ours.conf")
	primary.ownFile("theirs.conf")
	settledAt(t, old)
	r := old.lockRejoin()
	take := func() {
		require.NoError(t, r.Begin(t.Context()))
		require.NoError(t, r.Take())
		require.NoDirExists(t, old.file("data"))
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	nowhere := Conninfo{map[string]string{"host": old.file("socket"), "port": "1", "user": "nobody"}}
	for name, breaks := range map[string]func() error{
		"not begun":     func() error { return nil },
		"interrupted":   func() error { return r.Rewind(ended, old.conninfoTo(primary), stallTest, nil) },
		"no connection": func() error { return r.Rewind(t.Context(), nowhere, stallTest, nil) },
	} {
		take()
		if err := breaks(); name == "no connection" {
			require.ErrorIs(t, err, ErrConnectionLost)
		}
		unfinished, err := r.Abandon()
		require.NoError(t, err)
		require.False(t, unfinished, name)
		require.DirExists(t, old.file("data"))
		require.NoDirExists(t, r.Dir())
	}
	require.NoError(t, r.Rewindable(t.Context(), old.conninfo(), stallTest), "the data are whole")

	from := old.conninfo()
	old.recordingTools()
	script := filepath.Join(old.cfg.BinDir, "pg_rewind")
	require.NoError(t, os.Remove(script))
	require.NoError(t, os.WriteFile(script, []byte("#!/bin/sh\necho 'pg_rewind: need to copy 1 MB (total source directory size is 30 MB)' >&2\nexit 1\n"), 0o755))
	take()
	require.Error(t, r.Rewind(t.Context(), from, stallTest, nil))
	unfinished, err := r.Abandon()
	require.NoError(t, err)
	require.True(t, unfinished)
	found, err := old.UnfinishedRejoin()
	require.NoError(t, err)
	require.Equal(t, r.Dir(), found)
	p, err := old.Premises(t.Context())
	require.NoError(t, err)
	require.False(t, p.Exists)
	require.Positive(t, p.Left)

	from = old.conninfo() // of the files that were put aside
	require.Contains(t, from.Host(), primary.file("socket"))
	require.NoError(t, r.Begin(t.Context()))
	require.NoError(t, r.BaseBackup(t.Context(), from, true, stallTest, nil))
	kept, err := r.Finish(true, time.Now())
	require.NoError(t, err)
	require.True(t, r.Placed())
	require.Empty(t, kept, "nothing was left to keep")
	old.rejoined(primary, "old")
}

// New data that a kill has left between the old ones' name and their own are put in their place by the next one.
func TestRealRejoinKilledWhileItExchanges(t *testing.T) {
	s := newPrimary(t)
	r := s.lockRejoin()
	require.NoError(t, r.Begin(t.Context()))
	require.NoError(t, r.Copy(t.Context(), func(uint64) {}))
	require.NoError(t, os.WriteFile(filepath.Join(r.Dir(), "data", "new"), nil, 0o600))
	require.NoError(t, r.i.asUser(r.mark)) // as exchange does
	require.NoError(t, os.Rename(s.file("data"), filepath.Join(r.Dir(), "old")))
	p, err := s.Premises(t.Context())
	require.NoError(t, err)
	require.Equal(t, filepath.Join(r.Dir(), "data"), p.Aside)
	r = s.lockedAnew(r)
	require.NoError(t, r.TakeBack())
	require.FileExists(t, s.data("new"))
	unfinished, err := r.Abandon()
	require.NoError(t, err)
	require.False(t, unfinished)
}

// What pg_wal has not got any more pg_rewind takes from the archive.
func TestRealRewindWithAnArchive(t *testing.T) {
	old, _ := apart(t, Fast)
	if major, _ := old.Version(); major < restoreTargetMajor {
		t.Skip("pg_rewind knows no archive")
	}
	settledAt(t, old)
	archive := old.file("archive")
	require.NoError(t, os.Mkdir(archive, 0o755))
	segments, err := filepath.Glob(old.data("pg_wal/0000000100000000*"))
	require.NoError(t, err)
	for _, path := range segments {
		require.NoError(t, os.Rename(path, filepath.Join(archive, filepath.Base(path))))
	}
	r := old.lockRejoin()
	require.Error(t, r.Rewindable(t.Context(), old.conninfo(), stallTest))
	old.configure("restore_command = 'cp " + archive + "/%f %p'")
	require.NoError(t, r.Rewindable(t.Context(), old.conninfo(), stallTest))
}

// Only what the files themselves say makes data damaged, and not that they cannot be read.
func TestRealRejoinKnowsDamage(t *testing.T) {
	s := newPrimary(t)
	control := s.data("global/pg_control")
	text, err := os.ReadFile(control)
	require.NoError(t, err)
	broken := append([]byte{}, text...)
	broken[100] ^= 0xff
	ask := func() error { _, err := s.RejoinControl(t.Context()); return err }
	for name, content := range map[string][]byte{"checksum": broken, "short": text[:100], "empty": nil} {
		require.NoError(t, os.WriteFile(control, content, 0o600))
		require.ErrorIs(t, ask(), ErrDamaged, name)
	}
	require.NoError(t, os.Remove(control))
	require.ErrorIs(t, ask(), ErrDamaged)
	require.NoError(t, os.WriteFile(control, text, 0o600)) // root's
	require.NoError(t, os.Chmod(control, 0o600))
	err = ask()
	require.Error(t, err)
	require.NotErrorIs(t, err, ErrDamaged)
	s.own(control)
	require.NoError(t, ask())
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = s.RejoinControl(ended)
	require.NotErrorIs(t, err, ErrDamaged)

	require.NoError(t, os.Chown(s.data("PG_VERSION"), 0, 0))
	require.NoError(t, os.Chmod(s.data("PG_VERSION"), 0o600))
	_, err = s.RejoinVersion()
	require.Error(t, err)
	require.NotErrorIs(t, err, ErrDamaged)
	require.NoError(t, os.Remove(s.data("PG_VERSION")))
	_, err = s.RejoinVersion()
	require.ErrorIs(t, err, ErrDamaged)
}

// What is this node's own is told by a list of what is not, is known to be readable, and stays a private key.
func TestRealRejoinsOwnFiles(t *testing.T) {
	s := newPrimary(t)
	require.NoError(t, os.Mkdir(s.data("pg_hba.d"), 0o700))
	s.own(s.data("pg_hba.d"))
	s.ownFile("pg_hba.d/mine.conf")
	key := s.data("server.key")
	require.NoError(t, os.WriteFile(key, []byte("key"), 0o640))
	require.NoError(t, os.Chown(key, 0, int(here.user.GID)))
	p, err := s.Premises(t.Context())
	require.NoError(t, err)
	require.NoError(t, p.OwnErr)
	require.True(t, p.Sized)
	require.Positive(t, p.Own)
	require.Less(t, p.Own, p.Size)
	r := s.lockRejoin()
	require.NoError(t, r.Begin(t.Context()))
	require.FileExists(t, filepath.Join(r.Dir(), "own/pg_hba.d/mine.conf"))
	require.NoDirExists(t, filepath.Join(r.Dir(), "own/pg_wal"))
	info, err := os.Stat(filepath.Join(r.Dir(), "own/server.key"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), "PostgreSQL takes no other one from its user")
	require.NoError(t, os.Chmod(key, 0o600))
	p, err = s.Premises(t.Context())
	require.NoError(t, err)
	require.ErrorIs(t, p.OwnErr, os.ErrPermission)
	require.Positive(t, p.Left)

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	p, err = s.Premises(ended)
	require.NoError(t, err)
	require.False(t, p.Sized)
	require.NoError(t, p.OwnErr, "nobody knows")
	require.ErrorIs(t, r.Begin(ended), context.Canceled)
}

// A configuration that was in the data directory, and is gone with it, is said to be.
func TestRealRejoinWithoutConfiguration(t *testing.T) {
	s := newPrimary(t)
	require.NoError(t, os.RemoveAll(s.file("data")))
	_, err := s.RejoinConninfo(t.Context())
	require.ErrorIs(t, err, ErrConfigurationGone)
}

// In place, to its end.
func TestRealRejoinInPlace(t *testing.T) {
	old, primary := apart(t, Kill)
	old.ownFile("ours.conf")
	settledAt(t, old)
	r := old.lockRejoin()
	require.NoError(t, r.Begin(t.Context()))
	require.NoError(t, os.WriteFile(old.data("standby.signal"), nil, 0o600))
	old.own(old.data("standby.signal"))
	require.NoError(t, r.RecoverInPlace(t.Context()))
	require.FileExists(t, old.data("standby.signal"), "nobody who starts it by hand gets a primary")
	require.NoFileExists(t, filepath.Join(r.Dir(), noteStandby))
	require.NoError(t, r.Take())
	require.NoError(t, r.Rewind(t.Context(), primary.conninfoTo(primary), stallTest, nil))
	_, err := r.Finish(false, time.Now())
	require.NoError(t, err)
	old.rejoined(primary, "old")
}

// While its crash recovery is under way in place there is no standby.signal, and a note of that: killed there, the next
// rejoin makes it anew, first of all.
func TestRealRejoinKilledInCrashRecovery(t *testing.T) {
	s := newPrimary(t).start()
	s.stop(Kill)
	require.NoError(t, os.WriteFile(s.data("standby.signal"), nil, 0o600))
	s.own(s.data("standby.signal"))
	s.recordingTools()
	killed := filepath.Join(s.cfg.BinDir, "postgres")
	require.NoError(t, os.Remove(killed))
	require.NoError(t, os.WriteFile(killed, []byte("#!/bin/sh\n[ -e "+s.data("standby.signal")+" ] || [ ! -e "+s.file("data.pgsqlms-rejoin/standby")+" ] || echo as expected > "+s.file("seen")+"\nexit 1\n"), 0o755))
	r := s.lockRejoin()
	require.NoError(t, r.Begin(t.Context()))
	require.Error(t, r.RecoverInPlace(t.Context()))
	require.FileExists(t, s.file("seen"), "on disk before the signal goes")
	require.FileExists(t, s.data("standby.signal"))
}

// conninfoTo is one for a server itself.
func (s *server) conninfoTo(of *server) Conninfo {
	return Conninfo{map[string]string{"host": of.file("socket"), "port": fmt.Sprint(serverPort), "user": here.user.Name}}
}

// Before the primary's first checkpoint on its timeline pg_rewind takes it, up to PostgreSQL 15, for what it was before its
// promotion, and says that there is nothing to do. AskRewindSource knows.
func TestRealRewindBeforeTheFirstCheckpoint(t *testing.T) {
	old := newPrimary(t)
	old.configure("wal_log_hints = on", "wal_keep_size = 1GB")
	old.start().write()
	primary := newStandby(t, old, "new").start()
	old.waitStreaming("new")
	checkpointer := primary.process("checkpointer")
	signal(t, checkpointer, syscall.SIGSTOP)
	require.NoError(t, primary.Promote(t.Context()))
	primary.wait("promoted", func() bool { return !primary.status().InRecovery })
	old.write()
	old.stop(Fast)
	old.follow(primary, "old")
	source, err := old.AskRewindSource(t.Context(), old.conninfo())
	require.NoError(t, err)
	require.Equal(t, [2]wal.Timeline{2, 1}, [2]wal.Timeline{source.Timeline, source.Checkpoint})
	require.False(t, source.Settled())
	r := old.lockRejoin()
	if major, _ := old.Version(); major < 16 {
		require.ErrorIs(t, r.Rewindable(t.Context(), old.conninfo(), stallTest), ErrRewindNotNeeded)
	}
	signal(t, checkpointer, syscall.SIGCONT)
	require.NoError(t, old.CheckpointAt(t.Context(), old.conninfo()))
	source, err = old.AskRewindSource(t.Context(), old.conninfo())
	require.NoError(t, err)
	require.True(t, source.Settled())
	require.NoError(t, r.Rewindable(t.Context(), old.conninfo(), stallTest))
}

// The primary's slots are known, and those of the data themselves, which a rejoin leaves out.
func TestRealRejoinKnowsSlots(t *testing.T) {
	old, primary := apart(t, Fast)
	primary.sql("SELECT pg_catalog.pg_create_physical_replication_slot('old', true)")
	old.start()
	source, err := old.AskRewindSource(t.Context(), old.conninfo())
	require.NoError(t, err)
	require.Len(t, source.Slots, 1)
	require.Equal(t, "old", source.Slots[0].Name)
	require.False(t, source.Slots[0].Active || source.Slots[0].Logical)
	old.sql("SELECT pg_catalog.pg_create_physical_replication_slot('new')")
	old.configure("wal_level = logical")
	old.stop(Fast)
	old.start()
	session := old.open()
	_, err = session.query(t.Context(), `SELECT pg_catalog.pg_create_physical_replication_slot('passing', false, true);
SELECT pg_catalog.pg_create_logical_replication_slot('cdc', 'test_decoding')`)
	require.NoError(t, err)
	want := []OwnSlot{{"cdc", SlotLogical}, {"new", SlotPhysical}}
	require.Equal(t, want, slotsOf(old.data("")), "without the temporary one, which is there")
	require.FileExists(t, old.data("pg_replslot/passing/state"))
	session.Close()
	old.stop(Fast)
	p, err := old.Premises(t.Context())
	require.NoError(t, err)
	require.Equal(t, want, p.Slots)

	settledAt(t, old)
	r := old.lockRejoin()
	require.NoError(t, r.Begin(t.Context()))
	require.NoError(t, r.Copy(t.Context(), func(uint64) {}))
	require.NoError(t, r.Rewind(t.Context(), old.conninfo(), stallTest, nil))
	_, err = r.Finish(true, time.Now())
	require.NoError(t, err)
	p, err = old.Premises(t.Context())
	require.NoError(t, err)
	require.Empty(t, p.Slots)
}

// A role that may not see slots may have all that pg_rewind needs.
func TestRealRewindSourceWithoutSlots(t *testing.T) {
	primary := newPrimary(t)
	primary.plant("pg_hba.conf", "local all postgres peer\nlocal all rep trust\n")
	primary.start()
	primary.sql("CREATE ROLE rep LOGIN; REVOKE SELECT ON pg_catalog.pg_replication_slots FROM PUBLIC")
	from := primary.conninfoTo(primary)
	from.values["user"] = "rep"
	source, err := primary.AskRewindSource(t.Context(), from)
	require.NoError(t, err)
	require.True(t, source.FullPageWrites && source.Settled())
	require.True(t, IsNoPrivilege(source.SlotsErr), "%v", source.SlotsErr)
	require.Empty(t, source.Slots)
}

// What pg_basebackup needs of the primary is known before the old data go, and is given back.
func TestRealTryBackup(t *testing.T) {
	primary := newPrimary(t)
	primary.configure("max_wal_senders = 2", "max_replication_slots = 1")
	primary.start()
	from := primary.conninfoTo(primary)
	for range 20 { // each as if it were the first
		require.NoError(t, primary.TryBackup(t.Context(), from))
	}
	require.Equal(t, "0", primary.sql("SELECT count(*) FROM pg_catalog.pg_replication_slots"))
	taken, err := primary.replication(t.Context(), from)
	require.NoError(t, err)
	require.ErrorContains(t, primary.TryBackup(t.Context(), from), "a second connection for replication: ")
	taken.Close()
	primary.sql("SELECT pg_catalog.pg_create_physical_replication_slot('taken')")
	require.ErrorContains(t, primary.TryBackup(t.Context(), from), "a temporary replication slot: ")
}

// A standby whose WAL the primary has removed is lost, and cloned. The password is in no argument.
func TestRealRejoinClones(t *testing.T) {
	const password = `s3'c\ret`
	primary := newPrimary(t)
	primary.configure("wal_keep_size = 0", "min_wal_size = 32MB", "max_wal_size = 32MB", "password_encryption = 'scram-sha-256'")
	primary.start().write()
	standby := newStandby(t, primary, "standby").start()
	primary.ownFile("theirs.conf")
	standby.ownFile("ours.conf")
	primary.waitStreaming("standby")
	standby.stop(Fast)
	for range 5 {
		primary.sql("SELECT pg_catalog.pg_switch_wal(); CHECKPOINT")
	}
	primary.sql("CREATE TABLE public.theirs AS SELECT 1 AS n; CREATE ROLE repl REPLICATION LOGIN PASSWORD '" + strings.ReplaceAll(password, "'", "''") + "'")
	hba, err := os.ReadFile(primary.data("pg_hba.conf"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(primary.data("pg_hba.conf"), append([]byte("local all repl scram-sha-256\nlocal replication repl scram-sha-256\n"), hba...), 0o600))
	primary.sql("SELECT pg_catalog.pg_reload_conf()")
	conninfo := fmt.Sprintf(`host=%s port=%d user=repl application_name=standby password='s3\'c\\ret'`, primary.file("socket"), serverPort)
	standby.configure("primary_conninfo = '" + strings.NewReplacer(`\`, `\\`, "'", "''").Replace(conninfo) + "'")

	control, source := standby.compared()
	require.Nil(t, source.Divergence)
	require.True(t, source.Removed(), source.Refusal)
	require.False(t, control.Rewindable())
	sql, err := standby.AskRewindSource(t.Context(), standby.conninfo())
	require.NoError(t, err)
	require.False(t, sql.Allowed || sql.MayCheckpoint)

	recorded := standby.recordingTools()
	r := standby.lockRejoin()
	require.NoError(t, r.Begin(t.Context()))
	fetched := uint64(0)
	require.NoError(t, r.BaseBackup(t.Context(), standby.conninfo(), true, stallTest, func(done, _ uint64) { fetched = done }))
	require.Positive(t, fetched)
	_, err = r.Finish(false, time.Now())
	require.NoError(t, err)
	arguments, err := os.ReadFile(recorded)
	require.NoError(t, err)
	require.Contains(t, string(arguments), "user='repl'")
	require.NotContains(t, string(arguments), "ret")
	standby.rejoined(primary, "standby")
}

// recordingTools puts a script in pg_basebackup's place that notes its arguments first.
func (s *server) recordingTools() (recorded string) {
	s.t.Helper()
	bin := s.file("bin")
	recorded = s.file("arguments")
	require.NoError(s.t, os.Mkdir(bin, 0o755))
	tools, err := filepath.Glob(here.bin + "/*")
	require.NoError(s.t, err)
	for _, path := range tools {
		require.NoError(s.t, os.Symlink(path, filepath.Join(bin, filepath.Base(path))))
	}
	wrapper := filepath.Join(bin, "pg_basebackup")
	require.NoError(s.t, os.Remove(wrapper))
	require.NoError(s.t, os.WriteFile(wrapper, []byte(fmt.Sprintf("#!/bin/sh\necho \"$@\" > %s\nexec %s/pg_basebackup \"$@\"\n", recorded, here.bin)), 0o755))
	s.cfg.BinDir = bin
	return recorded
}

// What PostgreSQL runs on is not touched, by no step.
func TestRealRejoinLeavesWhatRunsAlone(t *testing.T) {
	s := newPrimary(t).start()
	r := s.lockRejoin()
	steps := map[string]func() error{
		"begin":  func() error { return r.Begin(t.Context()) },
		"copy":   func() error { return r.Copy(t.Context(), func(uint64) {}) },
		"take":   r.Take,
		"drop":   r.Drop,
		"finish": func() error { _, err := r.Finish(true, time.Now()); return err },
	}
	for name, step := range steps {
		require.ErrorContains(t, step(), "PostgreSQL runs in "+s.file("data"), name)
		require.NoDirExists(t, r.Dir(), name)
	}
	require.Equal(t, "1", s.sql("SELECT 1"))

	orphan := s.process("checkpointer")
	s.freeze(orphan) // it does not notice that the postmaster is gone
	signal(t, s.processes().Postmaster, syscall.SIGKILL)
	s.wait("no postmaster", func() bool { return s.processes().Postmaster == 0 })
	require.ErrorContains(t, r.Begin(t.Context()), "PostgreSQL runs in")
	signal(t, orphan, syscall.SIGCONT)
	s.waitGone()
	require.NoError(t, r.Begin(t.Context()))
}

// Nothing of root's is reached by what the system user can plant, and links to the data directory are followed.
func TestRealRejoinIsTheSystemUsers(t *testing.T) {
	s := newPrimary(t)
	other := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(other, "secret"), []byte("x"), 0o600))
	for dir := other; strings.HasPrefix(dir, os.TempDir()+"/"); dir = filepath.Dir(dir) {
		require.NoError(t, os.Chmod(dir, 0o755))
	}
	r := s.lockRejoin()
	require.NoError(t, os.Symlink(other, r.Dir()))
	s.own(r.Dir())
	require.NoError(t, os.Symlink(filepath.Join(other, "secret"), s.data("mine.key")))
	s.own(s.data("mine.key"))
	require.NoError(t, r.Begin(t.Context()))
	require.FileExists(t, filepath.Join(other, "secret"))
	var info syscall.Stat_t
	for _, path := range []string{r.Dir(), filepath.Join(r.Dir(), "own"), filepath.Join(r.Dir(), "own", "postgresql.conf")} {
		require.NoError(t, syscall.Lstat(path, &info))
		require.Equal(t, here.user.UID, info.Uid, path)
	}
	target, err := os.Readlink(filepath.Join(r.Dir(), "own", "mine.key"))
	require.NoError(t, err)
	require.Equal(t, filepath.Join(other, "secret"), target, "a link stays one")

	_, err = s.LockRejoin()
	require.ErrorIs(t, err, ErrRejoining)

	link := s.file("link")
	require.NoError(t, os.Symlink("data", link))
	behind := New(Config{BinDir: here.bin, PGData: link, User: here.user})
	found, err := behind.UnfinishedRejoin()
	require.NoError(t, err)
	require.Equal(t, r.Dir(), found)
	p, err := behind.Premises(t.Context())
	require.NoError(t, err)
	require.Equal(t, s.file("data"), p.DataDir)
	unfinished, err := r.Abandon()
	require.NoError(t, err)
	require.False(t, unfinished)
	require.NoDirExists(t, r.Dir())
}

// foreign makes a directory that the system user cannot empty.
func (s *server) foreign(dir string) {
	s.t.Helper()
	require.NoError(s.t, os.Mkdir(dir, 0o755))
	require.NoError(s.t, os.WriteFile(filepath.Join(dir, "mine.conf"), nil, 0o644))
}

// A directory of root's, which the system user cannot empty, is found beforehand. Where it is met all the same, the name of
// the data directory is not left to half of the data, and old data that cannot be removed keep nobody from the new ones.
func TestRealRejoinMeetsADirectoryOfRoots(t *testing.T) {
	s := newPrimary(t)
	s.foreign(s.data("conf.d"))
	p, err := s.Premises(t.Context())
	require.NoError(t, err)
	require.Equal(t, s.data("conf.d"), p.Unremovable)
	require.NoError(t, p.OwnErr, "it can be read")

	r := s.lockRejoin()
	require.NoError(t, r.Begin(t.Context()))
	require.NoError(t, r.Copy(t.Context(), func(uint64) {}))
	kept, err := r.Finish(false, time.Unix(1_700_000_000, 0))
	require.NoError(t, err)
	require.Empty(t, kept)
	require.Equal(t, s.file("data.before-rejoin-20231114T221320Z"), r.Left())
	require.FileExists(t, filepath.Join(r.Left(), "conf.d/mine.conf"))
	require.NoDirExists(t, r.Dir())
	require.FileExists(t, s.data("conf.d/mine.conf"), "this node's own")
	s.start().stop(Fast)

	require.NoError(t, os.RemoveAll(s.data("conf.d")))
	s.foreign(s.data("conf.d"))
	r = s.lockedAnew(r)
	require.NoError(t, r.Begin(t.Context()))
	require.ErrorIs(t, r.Drop(), os.ErrPermission)
	require.NoDirExists(t, s.file("data"))
	unfinished, err := r.Abandon()
	require.NoError(t, err)
	require.True(t, unfinished)
	require.FileExists(t, filepath.Join(r.Dir(), "own/postgresql.conf"))
	p, err = s.Premises(t.Context())
	require.NoError(t, err)
	require.False(t, p.Exists)
	require.Equal(t, filepath.Join(r.Dir(), "old/conf.d"), p.StuckInWork)
}

func (s *server) lockedAnew(r *Rejoin) *Rejoin {
	s.t.Helper()
	r.Close()
	return s.lockRejoin()
}

// A file system of its own for pg_wal, and one bound to the data directory, are found, with no move made.
func TestRealPremisesOfMounts(t *testing.T) {
	s := newPrimary(t)
	mount := func(source, target, kind string, flags uintptr) {
		require.NoError(t, syscall.Mount(source, target, kind, flags, ""))
		t.Cleanup(func() { _ = syscall.Unmount(target, syscall.MNT_DETACH) })
	}
	mounted := func(point string) {
		t.Helper()
		p, err := s.Premises(t.Context())
		require.NoError(t, err)
		require.Equal(t, []string{point}, p.Mounted)
		r := s.lockRejoin()
		defer r.Close()
		require.ErrorIs(t, r.Begin(t.Context()), ErrMounted)
		require.ErrorIs(t, r.Drop(), ErrMounted)
		require.DirExists(t, s.file("data"))
	}
	fstab, err := os.ReadFile(fstabPath) // of a throw-away root
	if err != nil {
		require.ErrorIs(t, err, os.ErrNotExist)
	}
	t.Cleanup(func() { _ = os.WriteFile(fstabPath, fstab, 0o644) })
	require.NoError(t, os.WriteFile(fstabPath, append(fstab, "\n/dev/sdx "+s.data("pg_wal")+" xfs defaults 0 2\n"...), 0o644))
	p, err := s.Premises(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{s.data("pg_wal")}, p.Unmounted)

	spaced := s.data("pg_wal/a b")
	require.NoError(t, os.Mkdir(spaced, 0o700))
	s.own(spaced)
	mount("tmpfs", spaced, "tmpfs", 0)
	mounted(spaced)
	require.NoError(t, syscall.Unmount(spaced, 0))
	mount(s.file("data"), s.file("data"), "", syscall.MS_BIND)
	mounted(s.file("data"))
}

func TestRealPremises(t *testing.T) {
	s := newPrimary(t)
	require.NoError(t, os.Rename(s.data("pg_wal"), s.file("wal")))
	require.NoError(t, os.Symlink(s.file("wal"), s.data("pg_wal")))
	require.NoError(t, os.Symlink("/somewhere", s.data("pg_tblspc/16384")))
	p, err := s.Premises(t.Context())
	require.NoError(t, err)
	require.Equal(t, s.file("wal"), p.WALLink)
	require.Equal(t, 1, p.Tablespaces)
	require.Empty(t, p.Relative)
	require.Positive(t, p.Size)
	require.Positive(t, p.Free)
	require.NoError(t, os.Chown(s.dir, 0, 0))
	p, err = s.Premises(t.Context())
	require.NoError(t, err)
	require.False(t, p.Writable)
}

// A program that tells of no progress is ended, and says what it said.
func TestRealToolThatStalls(t *testing.T) {
	s := newPrimary(t)
	s.recordingTools()
	script := func(text string) {
		path := filepath.Join(s.cfg.BinDir, "pg_basebackup")
		require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o755))
	}
	r := s.lockRejoin()
	require.NoError(t, r.Begin(t.Context()))
	script("echo '10/20 kB (50%), 0/1 tablespace' >&2; exec sleep 1000")
	err := r.BaseBackup(t.Context(), s.conninfoTo(s), false, 300*time.Millisecond, nil)
	require.ErrorIs(t, err, ErrStalled)
	script("echo 'pg_basebackup: error: no' >&2; exit 1")
	err = r.BaseBackup(t.Context(), s.conninfoTo(s), false, stallTest, nil)
	require.ErrorContains(t, err, "pg_basebackup ended with exit code 1: pg_basebackup: error: no")
	require.False(t, errors.Is(err, ErrStalled))

	require.NoError(t, os.Remove(filepath.Join(s.cfg.BinDir, "pg_rewind")))
	require.NoError(t, os.WriteFile(filepath.Join(s.cfg.BinDir, "pg_rewind"), []byte("#!/bin/sh\nexec sleep 1000\n"), 0o755))
	require.ErrorIs(t, r.Rewindable(t.Context(), s.conninfoTo(s), 300*time.Millisecond), ErrStalled)
}
