//go:build realpg

package agent

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pgsqlms/internal/election"
	"pgsqlms/internal/pg"
)

// A primary that this node alone cannot reach goes on acknowledging, and no vote is given beside it. Where Pacemaker has
// promoted nobody, a score that is left over proves nothing. The vote is taken back when there is a primary again.
func TestRealVotesBesideAPrimaryThatCannotBeReached(t *testing.T) {
	a := realAgent(t, "primary_conninfo = 'host=/nowhere'\n")
	a.req = recurringMonitor()
	cluster := a.crm.(*fakeCluster)
	cluster.scores["c"], cluster.promoted = 1001, []string{"c"}
	vote := "b " + a.attribute(attrVote)
	for range 2 * unreachable.looks {
		require.NoError(t, a.watch(t.Context(), pg.Status{InRecovery: true}))
		require.NotContains(t, cluster.private, vote)
	}
	require.Contains(t, cluster.status["b"], "does not stream: /nowhere")

	cluster.promoted = nil
	require.NoError(t, a.watch(t.Context(), pg.Status{InRecovery: true}))
	require.Contains(t, cluster.private, vote)

	require.NoError(t, a.watch(t.Context(), pg.Status{InRecovery: true, Receiver: &pg.Receiver{Status: "streaming", Timeline: 1}}))
	require.NotContains(t, cluster.private, vote)
	require.NotContains(t, cluster.private, "b "+a.attribute(attrBallot))
}

// Who is refused learns nothing of the primary's history. The record has enough of it.
func TestRealDivergenceBehindARefusal(t *testing.T) {
	a := realInstance{realAgent(t, "wal_retrieve_retry_interval = '1min'\n")}
	a.configure(t, "primary_conninfo = 'host="+a.conf.host+" port=5432 user=stranger'\n")
	require.NoError(t, a.db.Reload(t.Context()))
	require.Eventually(t, func() bool {
		up, err := a.db.AskPrimary(t.Context())
		return err == nil && strings.HasPrefix(up.Refusal, "Peer authentication failed")
	}, time.Minute, pollEvery)
	standing, err := a.db.Standing(t.Context())
	require.NoError(t, err)
	held := standing.End.LSN
	cluster := a.crm.(*fakeCluster)
	cluster.scores["c"] = 1001
	a.req = recurringMonitor()
	for range settled.looks + 1 {
		require.NoError(t, a.watch(t.Context(), pg.Status{InRecovery: true}))
	}
	require.Contains(t, cluster.status["b"], "does not stream: Peer authentication failed", "it has not diverged yet")

	cluster.property = fmt.Sprintf("serial=2 timeline=2 node=c from=1@%s sync=c:0", held-96)
	cluster.scores["b"] = 1000 // it has voted, and is given time to connect
	a.req.Notify.Promoted = []string{"c"}
	require.ErrorContains(t, a.refuseDiverged(t.Context()), "diverged: left timeline 1 at ")
	require.Equal(t, election.ScoreNotConnected, cluster.scores["b"])

	require.ErrorContains(t, a.watch(t.Context(), pg.Status{InRecovery: true}), "diverged: left timeline 1 at ")
}
