//go:build lab

package e2e

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The promotion scores follow the standbys: one that lags by more than a MiB comes behind the other, one that has lost its
// connection is no candidate, and one that is back is a candidate again.
func TestScoresFollowTheStandbys(t *testing.T) {
	c := begin(t)
	primary, first, second := c.before.primary, c.before.standbys[0], c.before.standbys[1]
	require.Equal(t, map[string]int{primary: 1001, first: 1000, second: 990}, c.scores())

	require.NoError(t, c.BlockPort(c.ctx, primary, first, pgPort))
	c.sql(primary, "create table fill as select repeat(md5(i::text), 32) from generate_series(1, 4096) i") // 4 MiB
	c.monitor(primary, "Promoted")
	c.awaitScores(map[string]int{primary: 1001, first: 990, second: 1000})
	// The connection ends after wal_sender_timeout, 5 s here.
	c.awaitScores(map[string]int{primary: 1001, first: -1000, second: 1000})

	require.NoError(t, c.Unblock(c.ctx, primary))
	c.awaitScores(map[string]int{primary: 1001, first: 990, second: 1000})
	c.sql(primary, "drop table fill")
	c.end(outcome{})
}

// While nothing changes, monitors write nothing to the cluster.
func TestScoresAreNotRewritten(t *testing.T) {
	c := begin(t)
	before := c.cib().version()
	c.monitorsRun(c.before.primary, 4)
	assert.Equal(t, before, c.cib().version(), "the version of the CIB")
	c.end(outcome{})
}

// scores are the promotion scores as Pacemaker has them.
func (c *cluster) scores() map[string]int {
	c.t.Helper()
	status, err := c.Status(c.ctx)
	require.NoError(c.t, err)
	scores := map[string]int{}
	for name, node := range status.Nodes {
		if score, err := strconv.Atoi(node.Score); err == nil {
			scores[name] = score
		}
	}
	return scores
}

// awaitScores waits for a monitor that finds the connection gone and one after that.
func (c *cluster) awaitScores(want map[string]int) {
	c.t.Helper()
	const senderTimeout = 5 * time.Second
	c.await(fmt.Sprint("scores ", want), 2*senderTimeout+3*promotedInterval, func() error {
		if got := c.scores(); !assert.ObjectsAreEqual(want, got) {
			return fmt.Errorf("they are %v", got)
		}
		return nil
	})
}

// hasScores says what is missing until every node has a positive score.
func (c *cluster) hasScores() error {
	status, err := c.Status(c.ctx)
	if err != nil {
		return err
	}
	for _, node := range c.Nodes() {
		if score, err := strconv.Atoi(status.Nodes[node.Name].Score); err != nil || score <= 0 {
			return fmt.Errorf("the score of %s is %q", node.Name, status.Nodes[node.Name].Score)
		}
	}
	return nil
}
