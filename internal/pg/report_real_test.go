//go:build realpg

package pg

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pgsqlms/internal/wal"
)

func (s *server) report() Report {
	s.t.Helper()
	r, err := s.Report(s.t.Context())
	require.NoError(s.t, err)
	return r
}

func TestRealReport(t *testing.T) {
	primary := newPrimary(t)
	primary.configure("synchronous_standby_names = 'b'", "synchronous_commit = local")
	primary.start()
	standby := newStandby(t, primary, "b").start()
	primary.write()
	primary.waitStreaming("b")
	primary.wait("replayed", func() bool { return standby.report().Replay == primary.report().End.LSN })

	p, d := primary.report(), standby.report()
	require.False(t, p.InRecovery)
	require.Equal(t, wal.Timeline(1), p.End.Timeline)
	require.NotEmpty(t, p.System)
	require.WithinDuration(t, time.Now(), p.Started, patience)
	require.Empty(t, p.PendingRestart)
	require.Len(t, p.Standbys, 1)
	require.Equal(t, "b", p.Standbys[0].ApplicationName)
	require.Equal(t, "sync", p.Standbys[0].SyncState)

	require.True(t, d.InRecovery)
	require.Equal(t, p.System, d.System)
	require.Equal(t, p.End, d.End)
	require.Zero(t, *d.Behind)
	require.Equal(t, "streaming", d.Receiver.Status)
	require.Equal(t, wal.Timeline(1), d.Receiver.Timeline)
	if has(11, standby) == 1 {
		require.Equal(t, primary.file("socket"), d.Receiver.Host)
	}

	standby.configure("max_connections = 200", "max_worker_processes = 20")
	require.NoError(t, standby.Reload(t.Context()))
	standby.wait("waits for a restart", func() bool { return len(standby.report().PendingRestart) == 2 })
	require.Equal(t, []string{"max_connections", "max_worker_processes"}, standby.report().PendingRestart)
}

// Through primary_conninfo, with the password for the database or for replication.
func TestRealReportAt(t *testing.T) {
	primary := newPrimary(t)
	primary.configure("password_encryption = 'scram-sha-256'")
	primary.start()
	primary.sql("CREATE ROLE rep LOGIN REPLICATION PASSWORD 'open''sesame'; GRANT pg_monitor TO rep")
	primary.plant("pg_hba.conf", "local all postgres peer\nlocal replication postgres peer\nlocal all rep scram-sha-256\n")
	require.NoError(t, primary.Reload(t.Context()))
	standby := newStandby(t, primary, "b").start()
	socket := primary.file("socket")

	file := func(database string) string {
		path := standby.file("pass-" + database)
		require.NoError(t, os.WriteFile(path, []byte(socket+":5432:"+database+":rep:open'sesame\n"), 0o600))
		standby.own(path)
		return path
	}
	for conninfo, granted := range map[string]bool{
		`user=rep password=open\'sesame`:                true,
		"user=rep password=wrong":                       false,
		"user=rep passfile=" + file("postgres"):         true,
		"user=rep passfile=" + file("replication"):      true,
		"user=rep passfile=" + file("another"):          false,
		"user=postgres":                                 true,
		"user=rep service=x " + `password=open\'sesame`: false,
	} {
		standby.asks("host=" + socket + " " + conninfo)
		c, err := standby.Conninfo(t.Context())
		require.NoError(t, err)
		for _, where := range []Conninfo{c, c.At(socket)} {
			r, err := standby.ReportAt(t.Context(), where)
			if granted {
				require.NoError(t, err, conninfo)
				require.Equal(t, primary.report().System, r.System)
				require.False(t, r.InRecovery)
			} else {
				require.Error(t, err, conninfo)
				require.NotContains(t, err.Error(), "sesame")
			}
		}
	}

	standby.asks("host=" + socket + " user=rep")
	standby.stop(Fast)
	c, err := standby.Conninfo(t.Context())
	require.NoError(t, err, "it is known without the server, too")
	require.Equal(t, socket, c.Host())
	primary.plant("pg_hba.conf", "local all postgres peer\nlocal all rep password\n")
	require.NoError(t, primary.Reload(t.Context()))
	c.values["password"] = "open'sesame"
	_, err = standby.ReportAt(t.Context(), c)
	require.NoError(t, err, "the address that the administrator named may have it in clear")
	_, err = standby.ReportAt(t.Context(), c.At(socket))
	require.Error(t, err, "no other one may")
}

// What a check reads, on every version: wal_status is there since PostgreSQL 13.
func TestRealCheckup(t *testing.T) {
	primary := newPrimary(t).start()
	primary.sql("SELECT pg_create_physical_replication_slot('a', true), pg_create_physical_replication_slot('b')")
	primary.write()
	c, err := primary.Checkup(t.Context())
	require.NoError(t, err)
	for _, name := range []string{"wal_level", "max_connections", "max_worker_processes", "max_wal_senders", "max_prepared_transactions", "max_locks_per_transaction", "primary_slot_name"} {
		require.Contains(t, c.Settings, name)
	}
	require.Len(t, c.Slots, 2)
	require.NotZero(t, c.Slots[0].Retained)
	if has(13, primary) == 1 {
		require.Equal(t, "reserved", c.Slots[0].Status)
	}
	require.Equal(t, Slot{Name: "b"}, c.Slots[1], "one that was never used keeps nothing")
	require.Empty(t, c.Archiving, "nothing is archived")

	primary.stop(Fast)
	primary.configure("archive_mode = on", "archive_command = 'false'")
	primary.start()
	primary.sql("SELECT pg_switch_wal()")
	primary.write()
	primary.wait("archiving fails", func() bool {
		c, err = primary.Checkup(t.Context())
		require.NoError(t, err)
		return c.Archiving != ""
	})
	require.Regexp(t, "^[0-9A-F]{24}$", c.Archiving)
	primary.stop(Fast)
	require.NoError(t, primary.SetStandby(t.Context()))
	primary.start()
	standby, err := primary.Checkup(t.Context())
	require.NoError(t, err)
	require.Empty(t, standby.Archiving, "a standby archives nothing, whatever it has kept of before")
	require.NoError(t, primary.Promote(t.Context()))
	primary.wait("promoted", func() bool { return !primary.status().InRecovery })
	primary.sql("SELECT pg_switch_wal()")
	primary.write()
	primary.wait("archiving fails again", func() bool {
		c, err = primary.Checkup(t.Context())
		require.NoError(t, err)
		return c.Archiving != ""
	})
	primary.configure("archive_command = 'true'")
	require.NoError(t, primary.Reload(t.Context()))
	primary.wait("archiving works", func() bool {
		c, err = primary.Checkup(t.Context())
		require.NoError(t, err)
		return c.Archiving == ""
	})
}

// A role without the rights of pg_monitor is told less by PostgreSQL, which is no word about
// replication.
func TestRealReportToARoleThatMayNotSee(t *testing.T) {
	primary := newPrimary(t).start()
	primary.sql("CREATE ROLE rep LOGIN REPLICATION")
	primary.plant("pg_hba.conf", "local all postgres peer\nlocal replication postgres peer\nlocal all,replication rep trust\n")
	require.NoError(t, primary.Reload(t.Context()))
	standby := newStandby(t, primary, "b").start()
	primary.wait("streams", func() bool { return len(primary.report().Standbys) == 1 })
	require.Empty(t, primary.report().Blind)

	standby.asks("host=" + primary.file("socket") + " user=rep")
	c, err := standby.Conninfo(t.Context())
	require.NoError(t, err)
	r, err := standby.ReportAt(t.Context(), c)
	require.NoError(t, err)
	require.Equal(t, "rep", r.Blind)
	require.Empty(t, r.Standbys)
	require.False(t, r.InRecovery)
	primary.sql("GRANT pg_monitor TO rep")
	primary.wait("tells who streams", func() bool {
		r, err = standby.ReportAt(t.Context(), c)
		return err == nil && r.Blind == "" && len(r.Standbys) == 1
	})
}

// What a rejoin has kept is found beside the data, and nothing else is.
func TestRealOldData(t *testing.T) {
	s := newServer(t)
	for _, name := range []string{"data.before-rejoin-20261121T175230Z", "data.before-rejoin-20261120T175230Z", "data.bak", "other.before-rejoin-20261121T175230Z"} {
		require.NoError(t, os.Mkdir(s.file(name), 0o700))
	}
	require.NoError(t, os.WriteFile(s.file("data.before-rejoin-file"), nil, 0o600))
	found, err := s.OldData()
	require.NoError(t, err)
	kept := []string{s.file("data.before-rejoin-20261120T175230Z"), s.file("data.before-rejoin-20261121T175230Z")}
	require.Equal(t, kept, found)

	require.NoError(t, os.Symlink(s.file("data"), s.file("link")))
	s.cfg.DataDir = s.file("link")
	found, err = s.OldData()
	require.NoError(t, err)
	require.Equal(t, kept, found, "behind a link")
}

// A tablespace that is not there hides no other file system.
func TestRealSpace(t *testing.T) {
	s := newPrimary(t)
	all, err := s.Space()
	require.NoError(t, err)
	require.Len(t, all, 2)
	require.NotZero(t, all[0].Files)
	require.NoError(t, os.Symlink("/nonexistent", s.data("pg_tblspc/16384")))
	found, err := s.Space()
	require.ErrorContains(t, err, "pg_tblspc/16384")
	require.Len(t, found, 2)
}
