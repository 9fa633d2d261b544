//go:build realpg

package pg

import (
	"syscall"
	"testing"

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
	restart()
	primary.write()
	primary.waitStreaming("b")

	streams := standby.receiver()
	ended, err := standby.EndStreaming(t.Context())
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
	ended, err = standby.EndStreaming(t.Context())
	require.NoError(t, err)
	require.False(t, ended, "it has no connection")
	require.Equal(t, seeking, standby.receiver())
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
