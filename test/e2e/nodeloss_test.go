//go:build lab

package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"pgsqlms/test/lab"
	"pgsqlms/test/scenario"
)

// fencingDelay is how long the fence device is made to take, so that a promotion that does not wait for it is seen.
const fencingDelay = 2 * time.Second

// When the primary's node dies, a standby is promoted, but not before the fence device has said that it is dead. The node
// comes back as a standby by itself.
func TestPrimarysNodeDies(t *testing.T) {
	c := begin(t)
	c.fencingTakes(fencingDelay)
	result := c.play(scenario.Scenario{
		Name: "kill of the primary's node",
		Inject: func(ctx context.Context, p *scenario.Play) error {
			if err := c.quiesce(ctx, p.Primary, c.before.standbys...); err != nil {
				return err
			}
			return c.KillNode(ctx, p.Primary)
		},
	})
	c.assertPromotedAfterFencing(result)
	c.end(outcome{primary: result.After, promotions: 1, fenced: []string{result.Before}, restarted: []string{result.Before}})
}

// A primary that is cut off goes on running for a while. It is fenced before another node writes. What it wrote when it
// was alone, at least the checkpoint with which Pacemaker demotes it for want of quorum, makes it diverge: it comes back as
// an instance that is refused, until an administrator rebuilds it.
func TestPrimarysNetworkIsCut(t *testing.T) {
	c := begin(t)
	c.fencingTakes(fencingDelay)
	cut := scenario.CutNetwork()
	cut.Mend = func(ctx context.Context, p *scenario.Play) error {
		if err := c.Heal(ctx, p.Primary); err != nil {
			return err
		}
		if err := c.refusedAsDiverged(ctx, p.Primary); err != nil {
			return err
		}
		return c.Rebuild(ctx, p.Primary)
	}
	result := c.play(cut)
	c.assertPromotedAfterFencing(result)
	c.end(outcome{primary: result.After, promotions: 1, fenced: []string{result.Before}, restarted: []string{result.Before}})
}

// refusedAsDiverged waits until a node is back whose instance has left the primary's history, and then looks whether that
// is stopped, banned, and shown.
func (c *cluster) refusedAsDiverged(ctx context.Context, node string) error {
	err := awaitErr(ctx, node+" is back and refused", time.Minute, func() error {
		return c.failed(ctx, "start_0 on "+node, "diverged: left timeline")
	})
	if err != nil {
		return err
	}
	if err := awaitErr(ctx, "stopped", 20*time.Second, func() error { return c.hasRole(ctx, node, "") }); err != nil {
		return err
	}
	shown, err := c.Run(ctx, c.any(), "attrd_updater", "-n", lab.Resource+"-status", "-N", node, "-Q")
	if err == nil && !strings.Contains(shown, "diverged: left timeline") {
		err = fmt.Errorf("the status of %s is %q", node, shown)
	}
	if err != nil {
		return err
	}
	status, err := c.Status(ctx)
	if score := status.Nodes[node].Score; err == nil && score != "" && !strings.HasPrefix(score, "-") { // none counts as -1
		err = fmt.Errorf("the score of %s is %q", node, score)
	}
	return err
}

// fencingTakes sets how long the fence device needs, for this test.
func (c *cluster) fencingTakes(d time.Duration) {
	c.t.Helper()
	require.NoError(c.t, c.SetFencing(c.ctx, lab.FencingMode{Delay: d}))
	c.t.Cleanup(func() {
		if !c.t.Failed() { // else the cluster goes anyway
			assert.NoError(c.t, c.SetFencing(context.WithoutCancel(c.ctx), lab.FencingMode{}))
		}
	})
}

func (c *cluster) assertPromotedAfterFencing(r scenario.Result) {
	c.t.Helper()
	require.NotEqual(c.t, r.Before, r.After, "the primary")
	require.Len(c.t, r.Fencings, 1)
	promoted := c.postgresLogged(r.After, logPromoted)
	assert.True(c.t, promoted.After(r.Fencings[0].Answered), "%s was promoted at %s, the fence device answered at %s",
		r.After, promoted, r.Fencings[0].Answered)
}
