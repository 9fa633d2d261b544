//go:build realpg

package pg

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRealLifeCycle(t *testing.T) {
	primary := newPrimary(t)
	require.Equal(t, StateShutDown, primary.state())
	require.Equal(t, Processes{}, primary.processes())
	primary.start()
	require.Equal(t, StateInProduction, primary.state())
	primary.write()

	standby := newStandby(t, primary, "b").start()
	require.Equal(t, StateArchiveRecovery, standby.state())
	primary.waitStreaming("b")
	s := primary.status()
	require.False(t, s.InRecovery)
	require.Len(t, s.Standbys, 1)
	t.Logf("%+v", s)
	s = standby.status()
	t.Logf("%+v", s)
	p, err := standby.Position(t.Context())
	require.NoError(t, err)
	t.Log(p)
	standby.stop(Fast)
	require.Equal(t, StateShutDownRecovery, standby.state())
	standby.start()
	primary.stop(Fast)
	require.NoError(t, standby.Promote(t.Context()))
	c := standby.open()
	standby.wait("promoted", func() bool {
		in, err := c.InRecovery(t.Context())
		require.NoError(t, err)
		return !in
	})
	t.Log(standby.status())
	isRoot(t)
}
