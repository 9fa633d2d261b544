//go:build realpg

package pg

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRealStandbyEndsWithShutdown(t *testing.T) {
	primary := newPrimary(t).start()
	standby := newStandby(t, primary, "b").start()
	primary.write()
	primary.waitStreaming("b") // before it has anything of its own its log ends with the base backup's empty rest of a segment
	position, err := standby.Position(t.Context())
	require.NoError(t, err)
	ends, err := standby.EndsWithShutdown(t.Context(), position)
	require.NoError(t, err)
	require.False(t, ends, "the primary still runs")

	primary.stop(Fast)
	position, err = standby.Position(t.Context())
	require.NoError(t, err)
	ends, err = standby.EndsWithShutdown(t.Context(), position)
	require.NoError(t, err)
	require.True(t, ends, "a fast shutdown sends its checkpoint to the standbys first")

	position.Timeline++
	_, err = standby.EndsWithShutdown(t.Context(), position)
	require.Error(t, err, "there is no such timeline")
}
