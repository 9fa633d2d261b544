//go:build lab

package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"pgsqlms/test/scenario"
)

// A new primary dies before any standby has connected to it. Those that voted for it have kept a score, so that one of them
// is promoted at once, and the cluster does not wait for the dead node. That one has to be rebuilt: what it wrote as a
// primary nobody has.
func TestNewPrimaryDiesBeforeAnybodyFollows(t *testing.T) {
	c := begin(t)
	old, target, other := c.before.primary, c.before.standbys[0], c.before.standbys[1]
	result := c.play(scenario.Scenario{
		Name: "kill of a new primary's node",
		Inject: func(ctx context.Context, _ *scenario.Play) error {
			if err := c.switchoverWithoutFollowers(ctx, target, old, other); err != nil {
				return err
			}
			return errors.Join(c.KillNode(ctx, target), c.ClearMove(ctx, old))
		},
		Mend: func(ctx context.Context, _ *scenario.Play) error {
			if err := c.refusedAsDiverged(ctx, target); err != nil {
				return err
			}
			return c.Rebuild(ctx, target)
		},
	})
	assert.Contains(t, []string{old, other}, result.After)
	restored := c.poweredAgain(target).Add(clusterStart)
	promoted := c.lastPromotion(result.After)
	assert.True(t, promoted.Before(restored), "%s was promoted at %s, when the dead node was back, at %s", result.After, promoted, restored)
	// Two: the number of the dead primary's timeline is not taken again, although nobody has seen anything of it.
	c.end(outcome{primary: result.After, promotions: 2, fenced: []string{target}, restarted: []string{old, target}})
}

// clusterStart is what a node needs at least, from its power on, until Pacemaker there asks for its instance.
const clusterStart = 3 * time.Second

// switchoverWithoutFollowers moves the promoted role to a node to which no other can connect, and returns when it has given
// out its first scores.
func (c *cluster) switchoverWithoutFollowers(ctx context.Context, target string, others ...string) error {
	for _, node := range others {
		if err := c.BlockPort(ctx, target, node, pgPort); err != nil {
			return err
		}
	}
	if err := c.StartMove(ctx, target); err != nil {
		return err
	}
	return awaitErr(ctx, "promoted", time.Minute, func() error { return c.recordNames(ctx, target) })
}

// poweredAgain is when a node that was fenced got its power back.
func (c *cluster) poweredAgain(node string) time.Time {
	c.t.Helper()
	fencings := c.fencings()
	require.NotEmpty(c.t, fencings)
	require.Equal(c.t, node, fencings[0].Victim)
	return fencings[0].Answered.Add(c.Config().FenceReboot)
}

// lastPromotion is when a node's PostgreSQL was told to promote for the last time.
func (c *cluster) lastPromotion(node string) time.Time {
	c.t.Helper()
	lines := c.linesWith(node, logPostgres, logPromoted)
	require.NotEmpty(c.t, lines)
	return stamp(c.t, lines[len(lines)-1])
}

// recordNames says what is missing until the cluster's record has a node for its primary: the last that a primary's first
// monitor writes, after the scores.
func (c *cluster) recordNames(ctx context.Context, node string) error {
	out, err := c.recordOn(ctx, node)
	if err == nil && (!strings.Contains(out, " node="+node+" ") || strings.Contains(out, " next=")) {
		err = fmt.Errorf("the record is %s", out)
	}
	return err
}

// hasRole says what is missing until Pacemaker has a node's instance in a role.
func (c *cluster) hasRole(ctx context.Context, node, role string) error {
	status, err := c.Status(ctx)
	if err == nil && status.Nodes[node].Role != role {
		err = fmt.Errorf("the role of %s is %q", node, status.Nodes[node].Role)
	}
	return err
}
