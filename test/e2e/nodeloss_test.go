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
// an instance that nobody promotes, until an administrator rebuilds it.
func TestPrimarysNetworkIsCut(t *testing.T) {
	c := begin(t)
	c.fencingTakes(fencingDelay)
	cut := scenario.CutNetwork()
	cut.Mend = func(ctx context.Context, p *scenario.Play) error {
		if err := c.Heal(ctx, p.Primary); err != nil {
			return err
		}
		if err := c.neverElectable(ctx, p.Primary); err != nil {
			return err
		}
		return c.Rebuild(ctx, p.Primary)
	}
	result := c.play(cut)
	c.assertPromotedAfterFencing(result)
	c.end(outcome{primary: result.After, promotions: 1, fenced: []string{result.Before}, restarted: []string{result.Before}})
}

// neverElectable waits until a diverged instance runs again and asks for WAL, and then looks at the scores that the
// primary gives. It looks often: such an instance appears to stream for a moment each time it tries.
func (c *cluster) neverElectable(ctx context.Context, diverged string) error {
	const looks = 200
	err := awaitErr(ctx, diverged+" is back and diverges", time.Minute, func() error {
		if c.count(diverged, logPostgres, "forked off current database system timeline") == 0 {
			return fmt.Errorf("PostgreSQL of %s does not say so", diverged)
		}
		return nil
	})
	if err != nil {
		return err
	}
	primary, err := c.Primary(ctx)
	if err != nil {
		return err
	}
	for range looks {
		result, err := c.monitorErr(ctx, primary, "Promoted")
		if err != nil {
			return err
		}
		if score := scoresWritten(result)[diverged]; score != "" && !strings.HasPrefix(score, "-") {
			return fmt.Errorf("the primary %s gave the diverged %s the promotion score %s", primary, diverged, score)
		}
	}
	return nil
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
