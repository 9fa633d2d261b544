//go:build realpg

package agent

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pgsqlms/internal/pg"
	"pgsqlms/internal/wal"
)

// A standby that waits for a timeline that never began, while another node is the primary of a later one, is started
// again, once it has stood still for as long as any other trouble has to last.
func TestRealStandbyThatWaitsForAnotherTimeline(t *testing.T) {
	astray := realInstance{realAgent(t, "")}
	standing, err := astray.db.Standing(t.Context())
	require.NoError(t, err)
	held := standing.End.LSN
	astray.down(t, pg.Fast)
	primary := astray.copied(t)
	require.NoError(t, primary.db.SkipTimeline(t.Context(), 2))
	require.NoError(t, primary.startStandby(t.Context()))
	require.NoError(t, primary.db.SkipTimeline(t.Context(), 2))
	primary.promoted(t)

	file := filepath.Join(astray.conf.dataDir, "pg_wal", "00000002.history")
	require.NoError(t, os.WriteFile(file, fmt.Appendf(nil, "1\t%s\tno recovery target specified\n", held), 0o600))
	require.NoError(t, os.Chown(file, int(astray.conf.user.UID), int(astray.conf.user.GID)))
	astray.configure(t, "primary_conninfo = 'host="+primary.conf.host+" port=5432 user=postgres'\nwal_retrieve_retry_interval = '100ms'\n")
	require.NoError(t, astray.startStandby(t.Context()))
	require.Eventually(t, func() bool { _, err := astray.db.History(3); return err == nil }, time.Minute, pollEvery)

	astray.req = recurringMonitor()
	astray.crm.(*fakeCluster).scores["c"] = 1001
	monitor := func(replayed wal.LSN) error {
		return astray.watch(t.Context(), pg.Status{InRecovery: true, Replay: &replayed})
	}
	for n, replayed := range []wal.LSN{held - 2, held - 1, held} {
		require.NoError(t, monitor(replayed), "monitor %d: it replays", n)
	}
	require.ErrorContains(t, monitor(held), "waits for timeline 2, which the primary's timeline 3 does not descend from")

	// Once is enough; and not for a primary that the record does not know.
	astray.store.forget()
	for range settled.looks + 2 {
		require.NoError(t, monitor(held))
	}
	astray.crm.(*fakeCluster).property = "serial=2 timeline=7 node=c from=1@0/1000 sync=c:0"
	m := astray.store.load()
	m.Restarted = 0
	astray.remember(m)
	require.NoError(t, monitor(held))

	astray.down(t, pg.Fast)
	require.NoError(t, astray.startStandby(t.Context()))
	require.Eventually(t, func() bool {
		return astray.sql(t, "SELECT received_tli FROM pg_stat_wal_receiver WHERE status = 'streaming'") == "3"
	}, time.Minute, pollEvery)
}
