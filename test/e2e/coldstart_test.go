//go:build lab

package e2e

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"pgsqlms/test/lab"
	"pgsqlms/test/scenario"
)

// A new cluster finds its primary by itself: the only node whose PostgreSQL was shut down as a primary. The lab makes that
// n1, on timeline 1.
func TestFirstStartFindsThePrimary(t *testing.T) {
	c := begin(t)
	require.NotZero(t, shared.first, "this needs a new cluster, and one was up already")
	assert.Equal(t, firstStart{primary: "n1", timeline: 2}, shared.first)
	c.end(outcome{})
}

// The whole cluster is stopped cleanly, on all nodes at once, and started again: nobody is fenced, nothing is lost, and
// PostgreSQL was shut down cleanly everywhere.
func TestWholeClusterStopsAndStarts(t *testing.T) {
	c := begin(t)
	result := c.play(scenario.Scenario{
		Name: "stop and start of the whole cluster",
		Inject: func(ctx context.Context, _ *scenario.Play) error {
			if err := c.restartClusters(ctx); err != nil {
				return err
			}
			return c.WaitWhole(ctx)
		},
	})
	for _, node := range c.Nodes() {
		assert.Zero(t, c.count(node.Name, logPostgres, logCrashed), "starts of %s after a crash", node.Name)
	}
	// When Pacemaker stops the primary's node first, it promotes another one for the moment that is left.
	promotions := timeline(c.ctx, t, c.Lab, result.After) - c.before.timeline
	assert.Contains(t, []int{1, 2}, promotions, "timelines begun")
	c.end(outcome{primary: result.After, promotions: promotions, restarted: []string{"n1", "n2", "n3"}})
}

// restartClusters stops Pacemaker and Corosync on all nodes, and then starts them again.
func (c *cluster) restartClusters(ctx context.Context) error {
	if err := c.eachNode(func(n lab.Node) error { return c.StopCluster(ctx, n.Name) }); err != nil {
		return err
	}
	return c.eachNode(func(n lab.Node) error { return c.StartCluster(ctx, n.Name) })
}

// eachNode does something to all nodes at once.
func (c *cluster) eachNode(do func(lab.Node) error) error {
	errs := make(chan error)
	for _, n := range c.Nodes() {
		go func() { errs <- do(n) }()
	}
	var all []error
	for range c.Nodes() {
		all = append(all, <-errs)
	}
	return errors.Join(all...)
}
