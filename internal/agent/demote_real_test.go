//go:build realpg

package agent

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pgsqlms/internal/ocf"
)

// A promotion is held where standby.signal is gone and the role is still the old one. Let go after the demotion, it must
// not come to its end.
func TestRealDemotionOfAHalfPromoted(t *testing.T) {
	a := realAgent(t, "recovery_end_command = 'while test -e hold; do sleep 0.01; done'\n") // in the data directory
	hold := filepath.Join(a.conf.dataDir, "hold")
	require.NoError(t, os.WriteFile(hold, nil, 0o600))
	require.NoError(t, a.db.Promote(t.Context()))
	require.Eventually(t, func() bool {
		there, err := a.db.StandbySignal()
		return err == nil && !there
	}, time.Minute, pollEvery)
	_, err := a.startRunning(t.Context())
	require.ErrorContains(t, err, "is being promoted")

	code, err := a.demote(t.Context())
	require.NoError(t, err)
	require.Equal(t, ocf.Success, code)
	require.NoError(t, os.Remove(hold))
	there, err := a.db.StandbySignal()
	require.NoError(t, err)
	require.True(t, there)
	promoting, err := a.db.Promoting(t.Context())
	require.NoError(t, err)
	require.False(t, promoting)
	require.Never(t, func() bool {
		status, err := a.look(t.Context())
		return err == nil && !status.InRecovery
	}, time.Second, 100*time.Millisecond)
}
