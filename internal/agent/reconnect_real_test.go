//go:build realpg

package agent

import (
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pgsqlms/internal/pg"
)

// A WAL receiver has connected to somebody who never answers, as while the address of the primary moves, and waits there for
// ever. The primary is behind that address by now, and would let it stream.
func TestRealReceiverThatWaitsForNobody(t *testing.T) {
	standby := realInstance{realAgent(t, "")}
	standby.down(t, pg.Fast)
	primary := standby.copied(t)
	require.NoError(t, primary.startStandby(t.Context()))
	primary.promoted(t)

	address := filepath.Join(standby.conf.host, "address")
	require.NoError(t, os.Mkdir(address, 0o755))
	socket := filepath.Join(address, ".s.PGSQL.5432")
	nobody, err := net.Listen("unix", socket)
	require.NoError(t, err)
	nobody.(*net.UnixListener).SetUnlinkOnClose(false)
	defer nobody.Close()
	require.NoError(t, os.Chmod(socket, 0o777))

	standby.configure(t, "primary_conninfo = 'host="+address+" port=5432 user=postgres'\nwal_retrieve_retry_interval = '100ms'\n")
	require.NoError(t, standby.startStandby(t.Context()))
	waits := func() bool {
		return standby.sql(t, "SELECT wait_event ILIKE 'LibPQWalReceiverConnect' FROM pg_stat_activity WHERE backend_type = 'walreceiver'") == "t"
	}
	require.Eventually(t, waits, time.Minute, pollEvery)
	require.NoError(t, os.Symlink(filepath.Join(primary.conf.host, ".s.PGSQL.5432"), socket+".new"))
	require.NoError(t, os.Rename(socket+".new", socket))

	standby.req = recurringMonitor()
	standby.crm.(*fakeCluster).scores["c"] = 1001
	require.NoError(t, standby.watch(t.Context(), pg.Status{InRecovery: true}), "the first one that does not find it streaming")
	require.True(t, waits(), "the trap is not there, this test proves nothing")
	require.NoError(t, standby.watch(t.Context(), pg.Status{InRecovery: true}))
	require.Eventually(t, func() bool {
		return standby.sql(t, "SELECT status FROM pg_stat_wal_receiver") == "streaming"
	}, time.Minute, pollEvery)
}
