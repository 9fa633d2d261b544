//go:build realpg

package pg

import (
	"context"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// receiver is the WAL receiver's process; "" while none runs.
func (s *server) receiver() string {
	s.t.Helper()
	return s.sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'walreceiver'")
}

func TestRealRestartReceiver(t *testing.T) {
	primary := newPrimary(t).start()
	standby := newStandby(t, primary, "b").start()
	primary.waitStreaming("b")
	restart := func() {
		before := standby.receiver()
		require.NotEmpty(t, before)
		restarted, err := standby.RestartReceiver(t.Context())
		require.NoError(t, err)
		require.True(t, restarted)
		standby.wait("another receiver", func() bool { now := standby.receiver(); return now != "" && now != before })
	}
	ended0, err0 := standby.EndSeeking(t.Context())
	require.NoError(t, err0)
	require.False(t, ended0, "it has a connection")
	restart()
	primary.write()
	primary.waitStreaming("b")

	streams := standby.receiver()
	pid, err := standby.Streaming(t.Context())
	require.NoError(t, err)
	require.Equal(t, streams, strconv.Itoa(pid))
	ended, err := standby.EndStreaming(t.Context(), pid+1)
	require.NoError(t, err)
	require.False(t, ended, "it is another one")
	ended, err = standby.EndStreaming(t.Context(), pid)
	require.NoError(t, err)
	require.True(t, ended)
	standby.wait("another receiver", func() bool { now := standby.receiver(); return now != "" && now != streams })
	primary.write()
	primary.waitStreaming("b")

	// One that waits for a server which does not answer is no different.
	signal(t, primary.processes().Postmaster, syscall.SIGSTOP)
	restart()
	standby.wait("it waits to connect", func() bool {
		return standby.sql("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'walreceiver' AND wait_event ILIKE 'LibPQWalReceiverConnect'") == "1"
	})
	require.Nil(t, standby.status().Receiver, "the trap is not there, this test proves nothing")
	seeking := standby.receiver()
	pid, err = standby.Streaming(t.Context())
	require.NoError(t, err)
	require.Zero(t, pid, "it has no connection")
	number, err := strconv.Atoi(seeking)
	require.NoError(t, err)
	ended, err = standby.EndStreaming(t.Context(), number)
	require.NoError(t, err)
	require.False(t, ended, "it has no connection")
	require.Equal(t, seeking, standby.receiver())

	// It has sought for less than wal_retrieve_retry_interval, and then for longer.
	standby.configure("wal_retrieve_retry_interval = '1h'")
	require.NoError(t, standby.Reload(t.Context()))
	standby.wait("the setting", func() bool { return standby.sql("SHOW wal_retrieve_retry_interval") == "1h" })
	ended, err = standby.EndSeeking(t.Context())
	require.NoError(t, err)
	require.False(t, ended, "PostgreSQL would wait")
	standby.configure("wal_retrieve_retry_interval = '1ms'")
	require.NoError(t, standby.Reload(t.Context()))
	standby.wait("the setting", func() bool { return standby.sql("SHOW wal_retrieve_retry_interval") == "1ms" })
	standby.wait("it is ended", func() bool {
		ended, err = standby.EndSeeking(t.Context())
		require.NoError(t, err)
		return ended
	})
	standby.wait("another receiver", func() bool { now := standby.receiver(); return now != "" && now != seeking })
	restart()
	signal(t, primary.processes().Postmaster, syscall.SIGCONT)
	primary.write()
	primary.waitStreaming("b")

	restarted, err := primary.RestartReceiver(t.Context())
	require.NoError(t, err)
	require.False(t, restarted)
	_, err = newPrimary(t).RestartReceiver(t.Context())
	require.True(t, IsRefused(err), err)
}

// Somebody who listens is no new primary, and neither is the old one.
func TestRealAwaitPrimary(t *testing.T) {
	primary := newPrimary(t).start()
	standby := newStandby(t, primary, "b").start()
	other := newStandby(t, primary, "c").start()
	primary.waitStreaming("b")
	primary.waitStreaming("c")
	there := func(wait time.Duration) bool {
		ctx, cancel := context.WithTimeout(t.Context(), wait)
		defer cancel()
		found, err := standby.AwaitPrimary(ctx)
		require.NoError(t, err)
		return found
	}
	require.False(t, there(500*time.Millisecond), "it is on the timeline that there is")
	primary.stop(Fast)
	require.False(t, there(500*time.Millisecond), "nobody listens")

	standby.follow(other, "b")
	require.NoError(t, standby.Reload(t.Context()))
	standby.wait("it asks the other one", func() bool {
		return strings.Contains(standby.sql("SELECT current_setting('primary_conninfo')"), other.file("socket"))
	})
	require.False(t, there(500*time.Millisecond), "it is a standby")
	require.NoError(t, other.Promote(t.Context()))
	require.True(t, there(time.Minute))
}
