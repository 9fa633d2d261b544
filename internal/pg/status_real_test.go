//go:build realpg

package pg

import (
	"context"
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
	require.Equal(t, &Receiver{Status: "streaming", Timeline: 1, End: &s.Current.LSN}, d.Receiver)
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

// A standby that is started while nobody writes streams, though what it has received begins with a segment, goes no farther
// than that, and the replay is beyond it.
func TestRealStandbyOfAnIdlePrimary(t *testing.T) {
	primary := newPrimary(t).start()
	standby := newStandby(t, primary, "b").start()
	primary.write()
	primary.sql("CHECKPOINT")
	primary.wait("replayed", func() bool {
		s := standby.status()
		return s.Replay != nil && *s.Replay == primary.status().Current.LSN
	})
	standby.stop(Fast)
	standby.start()
	var s Status
	standby.wait("streams", func() bool {
		s = standby.status()
		return s.Streams()
	})
	require.Equal(t, primary.status().Current.LSN, *s.Replay)
	require.Less(t, *s.Receive, *s.Replay, "else this shows nothing: somebody has written")
	r := standby.report()
	yes, again := r.Streams()
	require.True(t, yes)
	require.False(t, again)
}
