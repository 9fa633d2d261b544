//go:build lab

package lab

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestCluster proves the lab with the packaged agent in it.
func TestCluster(t *testing.T) {
	l := upForTest(t, Config{Name: "tpaf", DCDeadtime: time.Second, FenceReboot: -1, Sync: true, NoSync: true})
	ctx := testContext(t)

	p, err := l.Primary(ctx)
	require.NoError(t, err)
	require.Equal(t, "n1", p, "the first start finds its primary")
	out, err := l.SQL(ctx, p, "select count(*) from pg_stat_replication where sync_state = 'quorum'; select 'a', null, 'b'")
	require.NoError(t, err)
	require.Equal(t, "a||b", out)
	_, err = l.SQL(ctx, "n2", "create table t ()")
	require.ErrorContains(t, err, "read-only")

	t.Run("one standby starved", func(t *testing.T) { testStarve(t, l) })
	t.Run("signals", func(t *testing.T) { testSignals(t, l) })
	t.Run("crash of the postmaster", func(t *testing.T) {
		require.NoError(t, l.KillPostgres(ctx, "n1"))
		_, err := l.SQL(ctx, "n1", "select 1")
		require.Error(t, err)
		require.NoError(t, l.WaitReady(ctx))
		require.Empty(t, fencings(t, l))
	})
	t.Run("loss of the node", func(t *testing.T) {
		require.NoError(t, l.KillNode(ctx, "n1"))
		require.NoError(t, await(ctx, bound, 200*time.Millisecond, func() error {
			p, err := l.Primary(ctx)
			if err == nil && p == "n1" {
				err = fmt.Errorf("still n1")
			}
			return err
		}))
		require.NoError(t, l.WaitReady(ctx))
		require.Len(t, fencings(t, l), 1)
		require.NoError(t, l.Rebuild(ctx, "n1"))
		require.NoError(t, l.WaitWhole(ctx))
	})
	t.Run("moving there and back", func(t *testing.T) {
		was, err := l.Primary(ctx)
		require.NoError(t, err)
		for _, to := range []string{"n1", was} {
			require.NoError(t, l.Move(ctx, to))
			require.NoError(t, l.WaitWhole(ctx))
			p, err := l.Primary(ctx)
			require.NoError(t, err)
			require.Equal(t, to, p)
		}
	})
	t.Run("logs", func(t *testing.T) {
		dir := t.TempDir()
		require.NoError(t, l.CollectLogs(dir))
		for _, f := range []string{"powerd.log", "n1/postgresql/postgresql.log", "n2/pacemaker/pacemaker.log", "n3/corosync/corosync.log"} {
			st, err := os.Stat(filepath.Join(dir, f))
			require.NoError(t, err)
			require.NotZero(t, st.Size(), f)
		}
	})
}

func testStarve(t *testing.T, l *Lab) {
	ctx := testContext(t)
	streams := func(node string) func() error {
		return func() error {
			s, err := l.databaseStatus(ctx)
			if err == nil && !s.Nodes[node].Streaming {
				err = fmt.Errorf("%s does not stream", node)
			}
			return err
		}
	}
	require.NoError(t, l.BlockPort(ctx, "n1", "n2", 5432))
	require.NoError(t, await(ctx, bound, 200*time.Millisecond, func() error {
		if streams("n2")() == nil {
			return fmt.Errorf("n2 still streams")
		}
		return nil
	}))
	require.NoError(t, streams("n3")())
	require.NoError(t, l.Unblock(ctx, "n1"))
	require.NoError(t, await(ctx, bound, 200*time.Millisecond, streams("n2")))
}

func testSignals(t *testing.T, l *Lab) {
	ctx := testContext(t)
	require.NoError(t, l.SignalPostgres(ctx, "n2", "walreceiver", unix.SIGSTOP))
	require.NoError(t, l.SignalPostgres(ctx, "n2", "walreceiver", unix.SIGCONT))
	require.ErrorContains(t, l.SignalPostgres(ctx, "n2", "nosuch", unix.SIGCONT), "walreceiver")
}
