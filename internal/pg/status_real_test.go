//go:build realpg

package pg

import (
	"context"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pgsqlms/internal/wal"
)

func TestRealStatus(t *testing.T) {
	primary := newPrimary(t)
	primary.configure("synchronous_standby_names = 'ANY 1 (\"b\", c)'", "synchronous_commit = local")
	primary.start()
	standby := newStandby(t, primary, "b").start()
	primary.write()
	primary.waitStreaming("b")

	s := primary.status()
	require.False(t, s.InRecovery)
	require.Equal(t, wal.Timeline(1), s.Current.Timeline)
	require.Greater(t, s.Current.LSN, wal.LSN(0x1000000))
	require.Equal(t, `ANY 1 ("b", c)`, s.SynchronousStandbyNames)
	require.Nil(t, s.Receive)
	require.Nil(t, s.Replay)
	require.Nil(t, s.Receiver)
	require.Len(t, s.Standbys, 1)
	row := s.Standbys[0]
	require.Equal(t, "b", row.ApplicationName)
	require.Equal(t, "streaming", row.State)
	require.Equal(t, "quorum", row.SyncState)
	for _, lsn := range []*wal.LSN{row.Sent, row.Write, row.Flush, row.Replay} {
		require.Equal(t, s.Current.LSN, *lsn)
	}

	d := standby.status()
	require.True(t, d.InRecovery)
	require.Zero(t, d.Current)
	require.Empty(t, d.Standbys)
	require.Equal(t, s.Current.LSN, *d.Receive)
	require.Equal(t, s.Current.LSN, *d.Replay)
	require.Equal(t, &Receiver{Status: "streaming", Timeline: 1}, d.Receiver)
	require.False(t, d.ReplayPaused)
	standby.sql("SELECT pg_wal_replay_pause()")
	require.True(t, standby.status().ReplayPaused)
	primary.write()
	primary.wait("received and not replayed", func() bool {
		d = standby.status()
		return *d.Receive > *d.Replay && *d.Receive >= primary.status().Current.LSN
	})
	standby.sql("SELECT pg_wal_replay_resume()")

	primary.stop(Fast)
	standby.wait("no receiver", func() bool { return standby.status().Receiver == nil })
	require.NoError(t, standby.Promote(t.Context()))
	standby.wait("promoted", func() bool { return !standby.status().InRecovery })
	s = standby.status()
	require.Equal(t, wal.Timeline(2), s.Current.Timeline)
	require.Nil(t, s.Receive, "the LSNs of its life as a standby are history")
	h, err := standby.History(2)
	require.NoError(t, err)
	require.True(t, h.IsAncestor(1))
}

// What a client calls itself is its own affair: it may be a pattern, SQL, or
// empty, and it is never more than a name.
func TestRealHostileApplicationNames(t *testing.T) {
	primary := newPrimary(t)
	primary.configure("max_wal_senders = 20")
	primary.start()
	names := []string{"(", ".*", "db1", "db10", "'; DROP TABLE x; --", `"`, "a\tb", "a\nb", "a|b", "", "[[:alpha:]]", "\\", "%", "1#2", "é"}
	for _, name := range names {
		_, err := primary.plain(map[string]string{"application_name": name, "replication": "true"})
		require.NoError(t, err)
	}
	found := map[string]int{}
	s := primary.status()
	require.Len(t, s.Standbys, len(names))
	for _, row := range s.Standbys {
		found[row.ApplicationName]++
		require.Equal(t, "startup", row.State)
		require.Nil(t, row.Write)
	}
	for _, name := range []string{"(", ".*", "db1", "db10", "'; DROP TABLE x; --", `"`, "a|b", "", "\\"} {
		require.Equal(t, 1, found[name], "%q", name)
	}
}

// position asks, and fails the test when it cannot be told.
func (s *server) position() wal.Position {
	s.t.Helper()
	p, err := s.Position(s.t.Context())
	require.NoError(s.t, err)
	return p
}

func TestRealPosition(t *testing.T) {
	primary := newPrimary(t).start()
	standby := newStandby(t, primary, "b").start()
	primary.write()
	primary.waitStreaming("b")
	require.Equal(t, primary.position(), standby.position())
	require.Equal(t, wal.Timeline(1), standby.position().Timeline)

	standby.sql("SELECT pg_wal_replay_pause()")
	primary.write()
	standby.wait("the received log counts", func() bool { return standby.position() == primary.position() })
	primary.stop(Immediate)
	want := standby.position()
	require.Greater(t, want.LSN, *standby.status().Replay)

	// Restarted without a primary it replays what it has received, and the
	// server's own account of what it received falls back to a segment's start.
	standby.stop(Fast)
	standby.start()
	standby.wait("the receiver has tried", func() bool { return standby.status().Receive != nil })
	s := standby.status()
	require.Less(t, *s.Receive, want.LSN, "the trap is not there, this test proves nothing")
	require.Zero(t, *s.Receive%0x1000000)
	require.Equal(t, want, standby.position())
	require.Equal(t, want, must(standby.positionBySQL(t.Context())))
}

// A position must be had also where no WAL sender slot is free, and where the
// role may not replicate.
func TestRealPositionWithoutAWALSender(t *testing.T) {
	primary := newPrimary(t).start()
	standby := newStandby(t, primary, "b").start()
	primary.write()
	primary.waitStreaming("b")
	want := primary.position()
	primary.stop(Immediate)
	standby.stop(Fast)
	standby.configure("max_wal_senders = 1")
	// A standby wants as many senders as its primary had, or more.
	launched, err := standby.Launch(t.Context())
	require.NoError(t, err)
	gaveUp := false
	standby.wait("started, or given up", func() bool {
		gaveUp, _ = launched.Exited()
		return gaveUp || standby.PostmasterStatus() == StatusReady
	})
	if gaveUp {
		standby.configure("max_wal_senders = 10")
		standby.start()
	}
	for {
		if _, err := standby.plain(map[string]string{"replication": "true"}); err != nil {
			require.True(t, IsTooManyConnections(err), err)
			break
		}
	}
	require.Equal(t, want, standby.position())
}

// A role of one's own may have no more rights than to log in.
func TestRealPositionWithoutTheRightToReplicate(t *testing.T) {
	s := newServer(t)
	require.NoError(t, tool("initdb", "-D", s.file("data"), "-U", "admin", "-A", "trust", "--no-sync", "--no-locale"))
	s.configure(s.basics()...)
	s.cfg.User.Name = "admin"
	s.start()
	s.sql("CREATE ROLE postgres LOGIN")
	s.write()
	want := s.position()
	s.cfg.User.Name = "postgres"
	require.Equal(t, want, s.position())
	s.stop(Fast)
	require.NoError(t, s.SetStandby(t.Context()))
	s.start()
	require.Greater(t, s.position().LSN, want.LSN)
	require.Equal(t, want.Timeline, s.position().Timeline)
	require.True(t, s.status().InRecovery)
}

// A standby may hold log of a new timeline and have replayed none of it yet.
// Its vote must be for what it holds, and on the timeline that is on. To stop
// it there, it gets to know of the new timeline while the new primary is
// frozen, and its startup process is frozen before that one thaws.
func TestRealPositionOnANewerTimeline(t *testing.T) {
	first := newPrimary(t).start()
	next := newStandby(t, first, "next").start()
	last := newStandby(t, first, "last").start()
	first.write()
	first.waitStreaming("next")
	first.waitStreaming("last")
	first.stop(Immediate)
	before := last.position()
	require.Equal(t, wal.Timeline(1), before.Timeline)

	require.NoError(t, next.Promote(t.Context()))
	next.wait("promoted", func() bool { return !next.status().InRecovery })
	next.write()
	next.sql("CHECKPOINT")
	want := next.position()
	require.Equal(t, wal.Timeline(2), want.Timeline)
	history, err := os.ReadFile(next.data("pg_wal/00000002.history"))
	require.NoError(t, err)
	last.plant("pg_wal/00000002.history", string(history))
	last.wait("it knows of the new timeline", func() bool {
		log, err := os.ReadFile(last.file("log"))
		require.NoError(t, err)
		return strings.Contains(string(log), "new target timeline is 2")
	})
	master := next.processes().Postmaster
	signal(t, master, syscall.SIGSTOP)
	last.follow(next, "last")
	require.NoError(t, last.Reload(t.Context()))
	last.wait("the receiver asks the new primary", func() bool {
		return last.sql("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'walreceiver' AND wait_event = 'LibPQWalReceiverConnect'") == "1"
	})
	startup, err := strconv.Atoi(last.sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'startup'"))
	require.NoError(t, err)
	signal(t, startup, syscall.SIGSTOP)
	signal(t, master, syscall.SIGCONT)
	last.wait("the new timeline has been received", func() bool {
		s := last.status()
		return s.Receiver != nil && s.Receiver.Timeline == 2 && *s.Receive >= want.LSN
	})
	require.Equal(t, before.LSN, *last.status().Replay, "replay has gone on, this test proves nothing")
	require.Equal(t, want, last.position())
	require.Equal(t, want, must(last.positionBySQL(t.Context())))

	next.stop(Immediate) // and with it the receiver's own account
	last.wait("no receiver", func() bool { return last.status().Receiver == nil })
	require.Equal(t, want, last.position())
	require.Equal(t, want, must(last.positionBySQL(t.Context())))
}

// The two timelines share a segment: what lies before the fork is on the old.
func TestRealPositionBeforeTheFork(t *testing.T) {
	s := newPrimary(t)
	s.plant("pg_wal/00000002.history", "1\t0/1800000\tx\n")
	s.plant("pg_wal/000000010000000000000001", "")
	s.plant("pg_wal/000000020000000000000001", "")
	const segment = 16 << 20
	for end, want := range map[wal.LSN]wal.Timeline{0x1700000: 1, 0x1800000: 1, 0x1800001: 2, 0x2000000: 2} {
		p, err := s.onTimeline(walEnds{inRecovery: true, replay: end, controlTimeline: 1, segmentBytes: segment}, 1)
		require.NoError(t, err)
		require.Equal(t, wal.Position{Timeline: want, LSN: end}, p)
	}
}

func TestRealCheckpoint(t *testing.T) {
	s := newPrimary(t).start()
	before := must(s.Control(t.Context())).Checkpoint
	s.write()
	require.NoError(t, s.open().Checkpoint(t.Context()))
	require.Greater(t, must(s.Control(t.Context())).Checkpoint, before)
	in, err := s.open().InRecovery(t.Context())
	require.NoError(t, err)
	require.False(t, in)
}

// A commit that waits for a synchronous standby that is not there holds up
// nobody who only reads.
func TestRealStatusWhileCommitsHang(t *testing.T) {
	s := newPrimary(t).start()
	s.write()
	s.configure("synchronous_standby_names = 'nobody'")
	require.NoError(t, s.Reload(t.Context()))
	s.wait("the setting is in force", func() bool { return s.status().SynchronousStandbyNames == "nobody" })
	writer := s.open()
	hanging := make(chan error, 1)
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, err := ask(ctx, writer, "INSERT INTO public.t VALUES (1)")
		hanging <- err
	}()
	s.wait("the commit hangs", func() bool {
		return s.sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'") == "1"
	})
	require.False(t, s.status().InRecovery)
	cancel()
	require.Error(t, <-hanging)
}

// Two round trips: one to be let in, one to ask.
func TestRealStatusIsQuick(t *testing.T) {
	s := newPrimary(t).start()
	s.status()
	const rounds = 50
	var connecting, asking time.Duration
	for range rounds {
		began := time.Now()
		c, err := s.Connect(t.Context())
		require.NoError(t, err)
		connecting += time.Since(began)
		began = time.Now()
		_, err = c.Status(t.Context())
		require.NoError(t, err)
		asking += time.Since(began)
		c.Close()
	}
	t.Logf("connecting %s, asking %s", connecting/rounds, asking/rounds)
}
