package agent

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"pgsqlms/internal/election"
	"pgsqlms/internal/wal"
)

// A vote and a ballot that differ are not of one election: one of them is left over. To count what the older one says would
// be to take the node for one that holds less.
func TestBallotOfAnotherVoteDoesNotCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, cluster := newTestAgent(map[string]string{
			"c ballot-pgsqld": "serial=0 timeline=2 lsn=0/100", "c lsn_location-pgsqld": "2#501",
		})
		time.AfterFunc(5*attributeEvery, func() {
			_ = cluster.SetPrivate(context.Background(), "c", "ballot-pgsqld", "serial=0 timeline=2 lsn=0/1F5")
		})
		assert.ErrorContains(t, decide(a, failover), "c holds more WAL")
	})
}

// An old primary that PAF runs votes when it is down. The last record of a candidate can be the checkpoint of another
// shutdown, one before: what the old primary has written since is missing here.
func TestSwitchoverFromPAFThatHoldsMore(t *testing.T) {
	for vote, refused := range map[string]bool{"2#500": false, "2#501": true} {
		t.Run(vote, inBubble(func(t *testing.T) {
			a, cluster := newTestAgent(map[string]string{"a lsn_location-pgsqld": vote})
			a.endsWithShutdown = func(context.Context, wal.Position) (bool, error) { return true, nil }
			err := decide(a, switchover)
			if !refused {
				require.NoError(t, err)
				return
			}
			assert.ErrorContains(t, err, "switchover cancelled: this node has WAL up to 0/1F4 on timeline 2")
			assert.Equal(t, map[string]int{"b": election.ScoreBanned}, cluster.scores)
		}))
	}
}
