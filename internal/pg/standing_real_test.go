//go:build realpg

package pg

import (
	"context"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"pgsqlms/internal/wal"
)

// Position is Standing's End.
func (i *Instance) Position(ctx context.Context) (wal.Position, error) {
	s, err := i.Standing(ctx)
	return s.End, err
}

// standing asks, and fails the test when it cannot be told.
func (s *server) standing() Standing {
	s.t.Helper()
	standing, err := s.Standing(s.t.Context())
	require.NoError(s.t, err)
	return standing
}

// standingBySQL is what it says where IDENTIFY_SYSTEM cannot be had.
func (s *server) standingBySQL() Standing {
	s.t.Helper()
	c := s.open()
	defer c.Close()
	w, err := c.walEnds(s.t.Context())
	require.NoError(s.t, err)
	standing, err := s.Instance.standing(s.t.Context(), w, wal.Position{})
	require.NoError(s.t, err)
	return standing
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
	require.Equal(t, want, standby.standingBySQL().End)
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
		return last.sql("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'walreceiver' AND wait_event ILIKE 'LibPQWalReceiverConnect'") == "1"
	})
	signal(t, last.process("startup"), syscall.SIGSTOP)
	signal(t, master, syscall.SIGCONT)
	last.wait("the new timeline has been received", func() bool {
		s := last.status()
		return s.Receiver != nil && s.Receiver.Timeline == 2 && *s.Receive >= want.LSN
	})
	require.Equal(t, before.LSN, *last.status().Replay, "replay has gone on, this test proves nothing")
	require.Equal(t, want, last.position())
	require.Equal(t, want, last.standingBySQL().End)

	next.stop(Immediate) // and with it the receiver's own account
	last.wait("no receiver", func() bool { return last.status().Receiver == nil })
	require.Equal(t, want, last.position())
	require.Equal(t, want, last.standingBySQL().End)

	last.stop(Kill) // and with it its own
	last.configure(anHourLate)
	last.start()
	require.False(t, last.standing().Complete)
	require.Equal(t, wal.Timeline(1), last.standing().Replayed.Timeline)
	require.Equal(t, want, last.standing().End)
}

// The two timelines share a segment: what lies before the fork is on the old.
func TestRealPositionBeforeTheFork(t *testing.T) {
	s := newPrimary(t)
	s.plant("pg_wal/00000002.history", "1\t0/1800000\tx\n")
	s.plant("pg_wal/000000010000000000000001", "")
	s.plant("pg_wal/000000020000000000000001", "")
	const segment = 16 << 20
	for end, want := range map[wal.LSN]wal.Timeline{0x1700000: 1, 0x1800000: 1, 0x1800001: 2, 0x2000000: 2} {
		p, err := s.onTimeline(end, 1, segment)
		require.NoError(t, err)
		require.Equal(t, wal.Position{Timeline: want, LSN: end}, p)
	}
}

// backlogged is a standby that has received what it has not replayed. Part of
// it lies in files of pg_wal that were used before.
func backlogged(t *testing.T) (standby *server, want wal.Position) {
	t.Helper()
	primary := newPrimary(t)
	primary.configure("wal_keep_size = 1GB")
	primary.start()
	standby = newStandby(t, primary, "b").start()
	for range 3 {
		primary.write()
		primary.sql("SELECT pg_switch_wal()")
		primary.waitStreaming("b")
		primary.sql("CHECKPOINT")
		primary.waitStreaming("b")
		standby.sql("CHECKPOINT")
	}
	standby.sql("SELECT pg_wal_replay_pause()")
	primary.write()
	primary.sql("SELECT pg_switch_wal()")
	primary.write()
	standby.wait("all has been received", func() bool { return standby.position() == primary.position() })
	want = standby.position()
	require.True(t, standby.standing().Complete, "what it received since its start it knows")
	require.Greater(t, want.LSN, standby.standing().Replayed.LSN)
	require.Equal(t, want.LSN, standby.standing().Known)
	require.Equal(t, Standing{End: want, Replayed: want, Complete: true}, primary.standing())
	primary.stop(Immediate)
	return standby, want
}

// again starts it again, with other settings.
func (s *server) again(settings ...string) {
	s.t.Helper()
	s.stop(Fast)
	s.configure(settings...)
	s.start()
}

const anHourLate = "recovery_min_apply_delay = '1h'"

// A standby that was started and has not replayed what it holds says less than
// what it holds, by PostgreSQL's own account, and must not be believed.
func TestRealStandingOfAnUnfinishedStandby(t *testing.T) {
	standby, want := backlogged(t)
	standby.again(anHourLate)
	s := standby.standing()
	require.False(t, s.Complete)
	require.True(t, s.Read)
	require.Nil(t, standby.status().Receive)
	require.Less(t, s.Replayed.LSN, want.LSN, "it has replayed all, this test proves nothing")
	require.Equal(t, want, s.End, "the rest is read from pg_wal")
	require.Equal(t, s, standby.standingBySQL())

	standby.sql("SELECT pg_wal_replay_pause()")
	standby.configure("recovery_min_apply_delay = 0")
	require.NoError(t, standby.Reload(t.Context()))
	standby.wait("replay is paused", func() bool {
		return standby.sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'RecoveryPause'") == "1"
	})
	s = standby.standing()
	require.False(t, s.Complete)
	require.Equal(t, want, s.End)

	// Where the log cannot be read, that is said.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	end, read := standby.localEnd(ctx, Standing{End: s.Replayed, Replayed: s.Replayed}, 16<<20)
	require.False(t, read)
	require.Equal(t, s.Replayed, end)
	suffix := wal.SegmentSuffix(s.Replayed.LSN-1, 16<<20)
	require.NoError(t, os.Rename(standby.data("pg_wal/00000001"+suffix), standby.file("away")))
	unread := standby.standing()
	require.False(t, unread.Read || unread.Complete)
	require.Equal(t, s.Replayed, unread.End)
	require.NoError(t, os.Rename(standby.file("away"), standby.data("pg_wal/00000001"+suffix)))

	standby.sql("SELECT pg_wal_replay_resume()")
	standby.wait("it has replayed all", func() bool { return standby.standing().Complete })
	require.Equal(t, Standing{End: want, Replayed: want, Complete: true}, standby.standing())
}

// Where the log of a primary ends that was shut down stands in pg_wal, to the byte: what a standby of it has to hold.
func TestRealShutdownEnd(t *testing.T) {
	primary := newPrimary(t).start()
	standby := newStandby(t, primary, "b").start()
	primary.waitStreaming("b")
	primary.write()
	control, err := primary.Control(t.Context())
	require.NoError(t, err)
	_, known := primary.ShutdownEnd(t.Context(), control)
	require.False(t, known, "it runs")

	primary.stop(Fast)
	control, err = primary.Control(t.Context())
	require.NoError(t, err)
	end, known := primary.ShutdownEnd(t.Context(), control)
	require.True(t, known)
	require.Equal(t, standby.standing().End, end)
	require.Greater(t, end.LSN, control.Checkpoint+1)

	suffix := wal.SegmentSuffix(control.Checkpoint, control.Segment)
	require.NoError(t, os.Rename(primary.data("pg_wal/00000001"+suffix), primary.file("away")))
	_, known = primary.ShutdownEnd(t.Context(), control)
	require.False(t, known)
}

// Whoever is asked while it replays has the right answer at every moment, and
// says that it is complete only when it is, by PostgreSQL's own account.
func TestRealStandingWhileReplaying(t *testing.T) {
	primary := newPrimary(t).start()
	standby := newStandby(t, primary, "b").start()
	primary.waitStreaming("b")
	standby.sql("SELECT pg_wal_replay_pause()")
	primary.sql("CREATE TABLE public.t AS SELECT generate_series(1, 500000) AS n")
	standby.wait("all has been received", func() bool { return standby.position() == primary.position() })
	want := standby.position()
	primary.stop(Immediate)
	standby.again()
	understated, last := 0, Standing{}
	standby.wait("it has replayed all", func() bool {
		s := standby.standing()
		require.Equal(t, want, s.End)
		require.NotEqual(t, s.Complete, s.Read)
		require.GreaterOrEqual(t, s.Replayed.LSN, last.Replayed.LSN)
		require.True(t, s.Complete || !last.Complete)
		if s.Complete {
			require.Equal(t, want, s.Replayed)
		} else if s.Replayed != want {
			understated++
		}
		last = s
		return s.Complete
	})
	require.Positive(t, understated, "it had replayed all before it could be asked, this test proves nothing")
}

// Without a primary to ask, there is no WAL receiver to tell by.
func TestRealStandingWithoutAPrimary(t *testing.T) {
	standby, want := backlogged(t)
	standby.again(anHourLate, "primary_conninfo = ''")
	require.False(t, standby.standing().Complete)
	require.Equal(t, want, standby.standing().End)
	standby.again("recovery_min_apply_delay = 0")
	standby.wait("it has replayed all", func() bool { return standby.standing().Complete })
	require.Nil(t, standby.status().Receive, "the trap is not there, this test proves nothing")
	require.Equal(t, Standing{End: want, Replayed: want, Complete: true}, standby.standing())
}

// A crashed primary that was started as a standby has replayed its own log.
func TestRealStandingOfACrashedPrimary(t *testing.T) {
	s := newPrimary(t).start()
	s.write()
	want := s.standing()
	s.stop(Immediate)
	require.NoError(t, s.SetStandby(t.Context()))
	s.configure("primary_conninfo = 'host=/nowhere'")
	s.start()
	s.wait("it has replayed all", func() bool { return s.standing().Complete })
	require.Equal(t, want.End, s.standing().End)
}

// A promotion goes through while replay is paused, or waits, and nothing that
// was received is lost by it.
func TestRealPromoteWhileReplayWaits(t *testing.T) {
	for what, hold := range map[string]func(*server){
		"paused": func(s *server) { s.sql("SELECT pg_wal_replay_pause()") },
		"late":   func(s *server) { s.again(anHourLate) },
		"paused, before 13": func(s *server) {
			s.again(anHourLate)
			s.sql("SELECT pg_wal_replay_pause()")
			s.configure("log_statement = all")
			require.NoError(s.t, s.Reload(s.t.Context()))
			s.plant("PG_VERSION", "12\n")
		},
	} {
		t.Run(what, func(t *testing.T) {
			standby, want := backlogged(t)
			hold(standby)
			require.NoError(t, standby.Promote(t.Context()))
			standby.wait("promoted", func() bool { return !standby.status().InRecovery })
			h, err := standby.History(2)
			require.NoError(t, err)
			require.Equal(t, wal.Ancestor{Timeline: 1, End: want.LSN}, h.Parent())
			log, err := os.ReadFile(standby.file("log"))
			require.NoError(t, err)
			require.Equal(t, what == "paused, before 13", strings.Contains(string(log), "SELECT pg_catalog.pg_wal_replay_resume()"))
		})
	}
}
