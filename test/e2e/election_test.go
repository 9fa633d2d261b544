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

// pgPort is the one the databases listen on.
const pgPort = 5432

// Pacemaker's favourite when the primary dies is the standby whose score was the best at the last monitor. When another one
// has received more since, the favourite steps aside and that one is promoted: the rows confirmed by it are not lost. No
// promotion fails for it, and nobody is restarted.
func TestTheMostAdvancedStandbyIsElected(t *testing.T) {
	c := begin(t)
	favourite, other := c.before.standbys[0], c.before.standbys[1]
	result := c.play(scenario.Scenario{
		Name: "kill of the primary's node while the favourite lags",
		Inject: func(ctx context.Context, p *scenario.Play) error {
			if err := c.starve(ctx, p.Primary, favourite); err != nil {
				return err
			}
			if err := c.quiesce(ctx, p.Primary, other); err != nil {
				return err
			}
			return c.KillNode(ctx, p.Primary)
		},
	})
	assert.Equal(t, other, result.After, "the standby that had received the most")
	assert.NotEmpty(t, c.linesWith(favourite, logPacemaker, "stepping aside"), "the favourite was asked first")
	c.end(outcome{primary: other, promotions: 1, fenced: []string{result.Before}, restarted: []string{result.Before}})
}

// starve keeps a standby from receiving WAL, and returns when it lags. That takes less than wal_sender_timeout, and the
// writers write less than a MiB in it, so its score stays what it was.
func (c *cluster) starve(ctx context.Context, primary, standby string) error {
	if err := c.BlockPort(ctx, primary, standby, pgPort); err != nil {
		return err
	}
	lag := fmt.Sprintf("select pg_current_wal_lsn() - write_lsn from pg_stat_replication where application_name = '%s'", standby)
	return awaitErr(ctx, standby+" lags", 4*time.Second, func() error {
		bytes, err := c.SQL(ctx, primary, lag)
		if err == nil && (bytes == "" || bytes == "0" || strings.HasPrefix(bytes, "-")) {
			err = fmt.Errorf("its lag in bytes is %q", bytes)
		}
		return err
	})
}

// A switchover to a standby that does not receive the old primary's last WAL is cancelled, and the old primary takes its
// role back by itself. It is not tried again while the rule that asked for it stands, until an administrator clears it.
func TestSwitchoverToAStarvedStandbyIsCancelled(t *testing.T) {
	c := begin(t)
	primary, target := c.before.primary, c.before.standbys[0]
	result := c.play(scenario.Scenario{
		Name:   "switchover to a starved standby",
		Inject: c.switchoverInVain(target),
		Turned: c.cancelled(target),
		Mend: func(ctx context.Context, _ *scenario.Play) error {
			if err := c.isPromotedOnce(ctx, primary); err != nil {
				return err
			}
			return errors.Join(c.ClearMove(ctx, target), c.Unblock(ctx, primary))
		},
	})
	require.Equal(t, primary, result.After)
	c.end(outcome{
		promotions: 1, restarted: []string{primary, target},
		failures: []string{`promote.* on ` + target + `: .*switchover cancelled`},
	})
}

// While the rule stands, the switchover is made as soon as its target streams.
func TestCancelledSwitchoverIsMadeWhenTheTargetStreams(t *testing.T) {
	c := begin(t)
	primary, target := c.before.primary, c.before.standbys[0]
	result := c.play(scenario.Scenario{
		Name:   "switchover to a standby that is starved for a while",
		Inject: c.switchoverInVain(target),
		Turned: c.cancelled(target),
		Mend:   func(ctx context.Context, _ *scenario.Play) error { return c.Unblock(ctx, primary) },
		TidyUp: func(ctx context.Context, _ *scenario.Play) error {
			err := awaitErr(ctx, "switched over", time.Minute, func() error { return c.isPromoted(ctx, target) })
			return errors.Join(err, c.ClearMove(ctx, target))
		},
	})
	require.Equal(t, target, result.After)
	c.end(outcome{
		primary: target, promotions: 2, restarted: []string{primary, target},
		failures: []string{`promote.* on ` + target + `: .*switchover cancelled`},
	})
}

// isPromotedOnce watches a primary that has its role back for several monitors: it must not be demoted again.
func (c *cluster) isPromotedOnce(ctx context.Context, primary string) error {
	err := awaitErr(ctx, "promoted again", time.Minute, func() error { return c.isPromoted(ctx, primary) })
	if err != nil {
		return err
	}
	return stays(ctx, "promoted once", 4*promotedInterval, func() error {
		demotions := c.count(primary, logPostgres, "received fast shutdown request")
		if demotions != 1 {
			return fmt.Errorf("it was shut down %d times", demotions)
		}
		return nil
	})
}

// switchoverInVain moves the promoted role to a standby that receives nothing any more.
func (c *cluster) switchoverInVain(target string) step {
	return func(ctx context.Context, p *scenario.Play) error {
		if err := c.starve(ctx, p.Primary, target); err != nil {
			return err
		}
		return c.StartMove(ctx, target)
	}
}

// cancelled waits until the agent on a node says that it cancels the switchover.
func (c *cluster) cancelled(target string) step {
	return func(ctx context.Context, _ *scenario.Play) error {
		return awaitErr(ctx, "cancelled", time.Minute, func() error {
			if c.count(target, logPacemaker, "switchover cancelled") == 0 {
				return fmt.Errorf("the agent on %s does not say so", target)
			}
			return nil
		})
	}
}

// isPromoted says what is missing until a node is the promoted one and the cluster has nothing more to do.
func (c *cluster) isPromoted(ctx context.Context, node string) error {
	status, err := c.Status(ctx)
	if err != nil {
		return err
	}
	if role := status.Nodes[node].Role; role != "Promoted" || status.DCState != "S_IDLE" {
		return fmt.Errorf("%s is %q, the coordinator is in %s", node, role, status.DCState)
	}
	return nil
}
