//go:build realpg

package agent

import (
	"context"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"pgsqlms/internal/election"
	"pgsqlms/internal/pg"
	"pgsqlms/internal/wal"
)

// begunRecord is the cluster's record between a promotion to this instance's timeline and the new primary's first monitor.
func begunRecord(t *testing.T, primary realInstance, node string) string {
	h, err := primary.db.History(3)
	require.NoError(t, err)
	before, found := h.Until(2)
	require.True(t, found)
	at := wal.Position{Timeline: h.Parent().Timeline, LSN: h.Parent().End}
	record, changed := (&election.Record{Serial: 1, Node: "b", History: before}).Promoting(election.Vote{Node: node, Position: at, History: before}, election.Rule{})
	require.True(t, changed)
	return record.String()
}

// A primary that died before the first checkpoint after its promotion comes up as the standby that it was, and lets
// clients in long before it has replayed its own commits. Its start waits for these before the primary is asked.
func TestRealDivergenceInWhatIsStillToBeReplayed(t *testing.T) {
	old := realInstance{realAgent(t, "")}
	old.down(t, pg.Fast)
	primary := old.copied(t)

	require.NoError(t, old.startStandby(t.Context()))
	checkpointer, err := strconv.Atoi(old.sql(t, "SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'"))
	require.NoError(t, err)
	require.NoError(t, syscall.Kill(checkpointer, syscall.SIGSTOP))
	old.promoted(t)

	// Its first commit is before the place at which the primary leaves their timeline, and held back in the replay.
	old.sql(t, "CREATE TABLE late ()")
	old.sql(t, "CREATE TABLE junk AS SELECT generate_series(1, 100000)")
	old.down(t, pg.Kill)

	require.NoError(t, primary.startStandby(t.Context()))
	primary.promoted(t)
	primary.sql(t, "CREATE TABLE pad AS SELECT generate_series(1, 3000)")
	primary.down(t, pg.Fast)
	require.NoError(t, primary.startStandby(t.Context()))
	primary.promoted(t)

	old.configure(t, "primary_conninfo = 'host="+primary.conf.host+" port=5432 user=postgres'\nrecovery_min_apply_delay = '1h'\n")
	require.NoError(t, old.startStandby(t.Context()))
	replayed, err := old.db.ReplayedOwn(t.Context())
	require.NoError(t, err)
	require.False(t, replayed)
	up, err := old.db.AskPrimary(t.Context())
	require.NoError(t, err)
	require.True(t, up.Replaying)
	time.AfterFunc(watchWait/5, func() {
		old.configure(t, "recovery_min_apply_delay = 0\n")
		assert.NoError(t, old.db.Reload(context.Background()))
	})
	old.req.Notify.Promoted = []string{"c"}
	old.crm.(*fakeCluster).property = begunRecord(t, primary, "c")
	require.ErrorContains(t, old.refuseDiverged(t.Context()), "diverged: left timeline 2 at ")

	// One that runs nevertheless is told by its monitor, which asks the primary too, once that one has its record.
	old.crm.(*fakeCluster).scores["c"] = 1001
	begun, err := election.ParseRecord(old.crm.(*fakeCluster).property)
	require.NoError(t, err)
	h, err := primary.db.History(3)
	require.NoError(t, err)
	old.crm.(*fakeCluster).property = begun.Promoted("c", h, election.Rule{}).String()
	old.req = recurringMonitor()
	require.NoError(t, old.watch(t.Context(), pg.Status{InRecovery: true}), "the first one that does not find it streaming")
	require.ErrorContains(t, old.watch(t.Context(), pg.Status{InRecovery: true}), "diverged: left timeline 2 at ")
}
