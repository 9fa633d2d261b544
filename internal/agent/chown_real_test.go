//go:build realpg

package agent

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pgsqlms/internal/ocf"
)

// A primary whose data are given to another user goes on, for those who are connected. It
// lets nobody in any more. Its monitor does not say that it is gone, and stop ends it.
func TestRealDataGivenToAnotherUser(t *testing.T) {
	const other = "4711:4711"
	for what, given := range map[string][]string{
		"all of it":     {"-R", other},
		"the directory": {other},
	} {
		t.Run(what, func(t *testing.T) {
			a := realInstance{realAgent(t, "")}
			a.promoted(t)
			a.sql(t, "CHECKPOINT") // that of the promotion would be under way, and its failure a crash
			user := a.conf.user.UID
			session, err := a.db.Connect(t.Context())
			require.NoError(t, err)
			defer session.Close()
			require.NoError(t, os.Chown(filepath.Dir(a.conf.dataDir), 0, 0)) // else it would not be acted as the new owner
			out, err := exec.CommandContext(t.Context(), "chown", append(given, a.conf.dataDir)...).CombinedOutput()
			require.NoError(t, err, "%s", out)
			standby, err := session.InRecovery(t.Context())
			require.NoError(t, err)
			require.False(t, standby)

			a.reconfigure(t)
			require.NotNil(t, a.conf.noStart)
			require.Equal(t, uint32(4711), a.conf.user.UID)
			processes, err := a.db.Processes()
			require.NoError(t, err)
			require.NotZero(t, processes.Postmaster)
			require.True(t, processes.SharedMemory || what != "all of it", "postmaster.pid is read as the owner")
			_, err = a.ask(t.Context())
			require.ErrorContains(t, err, "SQLSTATE 42501")
			a.req = recurringMonitor()
			code, err := a.monitor(t.Context())
			require.NoError(t, err)
			require.Equal(t, ocf.RunningPromoted, code)

			code, err = a.stop(t.Context())
			require.NoError(t, err)
			require.Equal(t, ocf.Success, code)
			_, err = session.InRecovery(t.Context())
			require.Error(t, err)
			a.reconfigure(t)
			require.Nil(t, a.conf.runsAs)
			left, err := a.db.RunningAs(user)
			require.NoError(t, err)
			require.Empty(t, left)
		})
	}
}

// reconfigure reads the parameters anew, as the next action does.
func (a realInstance) reconfigure(t *testing.T) {
	t.Helper()
	req := ocf.ParseRequest([]string{"monitor"}, []string{
		"OCF_RESKEY_pgdata=" + a.conf.dataDir, "OCF_RESKEY_bindir=" + a.conf.binDir, "OCF_RESKEY_pghost=" + a.conf.host,
	}, time.Now())
	a.conf = readConfig(t.Context(), req, filepath.Dir(a.conf.logPath))
	a.openInstance()
}
