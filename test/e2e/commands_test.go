//go:build lab

package e2e

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"pgsqlms/test/lab"
)

// shownStatus is of `pgsqlms status --output json` what the test looks at.
type shownStatus struct {
	AskedOn  string `json:"asked_on"`
	Well     bool   `json:"well"`
	Problems []struct {
		Node, Text string
		ToDo       string `json:"to_do"`
	}
	Nodes []struct {
		Node, Role, State, Upstream string
		Here, Asked                 bool
		SyncState                   string `json:"sync_state"`
		Timeline                    int
		LagBytes                    *uint64 `json:"lag_bytes"`
		PromotionScore              *int    `json:"promotion_score"`
	}
	Pacemaker struct {
		Source string
		Quorum bool
	}
}

// command runs one of the agent's commands for a person.
func (c *cluster) command(node string, args ...string) lab.Result {
	c.t.Helper()
	began := time.Now()
	result := c.try(node, append([]string{c.Agent()}, args...)...)
	assert.Less(c.t, time.Since(began), 5*time.Second, "%v on %s", args, node)
	return result
}

func (c *cluster) shown(node string, code int) (s shownStatus) {
	c.t.Helper()
	result := c.command(node, "status", "--output", "json")
	require.Equal(c.t, code, result.Code, "%s%s", result.Stdout, result.Stderr)
	require.NoError(c.t, json.Unmarshal([]byte(result.Stdout), &s))
	return s
}

// Every node tells the same of all of them, without a word of Pacemaker's tools' own; what is wrong on another node is
// seen at once.
func TestStatusTellsTheSameOnEveryNode(t *testing.T) {
	c := begin(t)
	for _, node := range c.Nodes() {
		s := c.shown(node.Name, 0)
		assert.Equal(t, node.Name, s.AskedOn)
		assert.True(t, s.Well)
		assert.Equal(t, "live", s.Pacemaker.Source)
		assert.True(t, s.Pacemaker.Quorum)
		require.Len(t, s.Nodes, len(c.Nodes()))
		for _, n := range s.Nodes {
			assert.Equal(t, n.Node == node.Name, n.Here)
			assert.True(t, n.Asked, "%s, asked on %s", n.Node, node.Name)
			assert.Equal(t, c.before.timeline, n.Timeline)
			assert.Positive(t, *n.PromotionScore)
			if n.Node == c.before.primary {
				assert.Equal(t, [2]string{"primary", "running"}, [2]string{n.Role, n.State})
				continue
			}
			assert.Equal(t, [4]string{"standby", "streaming", "quorum", c.before.primary}, [4]string{n.Role, n.State, n.SyncState, n.Upstream})
			assert.NotNil(t, n.LagBytes)
		}
		text := c.command(node.Name, "status")
		assert.Zero(t, text.Code)
		assert.Contains(t, text.Stdout, ": all is well\n")
		assert.Empty(t, text.Stderr)
	}

	standby, other := c.before.standbys[0], c.before.standbys[1]
	c.sql(standby, "select pg_wal_replay_pause()")
	s := c.shown(other, 1)
	c.sql(standby, "select pg_wal_replay_resume()")
	require.Len(t, s.Problems, 1)
	assert.Equal(t, standby, s.Problems[0].Node)
	assert.Contains(t, s.Problems[0].Text, "replay is paused")
	c.end(outcome{})
}

// shownPromotion is of `pgsqlms history --output json` what the tests look at.
type shownPromotion struct {
	From, To, Reason string
	Time             *time.Time
	Timeline         int
	LostBytes        *uint64 `json:"wal_lost_bytes"`
	Lineage          bool    `json:"in_the_clusters_history"`
}

// assertHistory wants every node to tell of the last promotions, each of which was a switchover.
func (c *cluster) assertHistory(want ...shownPromotion) {
	c.t.Helper()
	last := c.look().timeline
	for _, node := range c.Nodes() {
		result := c.command(node.Name, "history", "--output", "json")
		require.Zero(c.t, result.Code, result.Stderr)
		var shown struct{ Promotions []shownPromotion }
		require.NoError(c.t, json.Unmarshal([]byte(result.Stdout), &shown))
		require.GreaterOrEqual(c.t, len(shown.Promotions), len(want))
		for n, got := range shown.Promotions[len(shown.Promotions)-len(want):] {
			assert.Equal(c.t, want[n].From, got.From, "on %s", node.Name)
			assert.Equal(c.t, want[n].To, got.To, "on %s", node.Name)
			assert.Equal(c.t, last-len(want)+1+n, got.Timeline, "on %s", node.Name)
			assert.True(c.t, got.Lineage, "on %s", node.Name)
			require.NotNil(c.t, got.Time, "on %s", node.Name)
			assert.WithinDuration(c.t, time.Now(), *got.Time, testBound)
			assert.Contains(c.t, got.Reason, "moved by constraint", "on %s", node.Name)
			if node.Name == got.To {
				require.NotNil(c.t, got.LostBytes)
				assert.Zero(c.t, *got.LostBytes)
			}
		}
		text := c.command(node.Name, "history")
		assert.Zero(c.t, text.Code)
		assert.Empty(c.t, text.Stderr)
	}
}
