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

	"pgsqlms/test/scenario"
)

// pgPort is the one the databases listen on.
const pgPort = 5432

// Pacemaker's favourite when the primary dies is the standby whose score was the best at the last monitor. When another one
// has received more since, the favourite steps back and that one is promoted: the rows confirmed by it are not lost.
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
	assert.NotEmpty(t, c.linesWith(favourite, logPacemaker, other+" holds more WAL"), "the favourite was asked first")
	c.end(outcome{
		primary: other, promotions: 1, fenced: []string{result.Before}, restarted: []string{result.Before, favourite},
		failures: []string{`promote.* on ` + favourite + `: .*` + other + ` holds more WAL .* than this node .*: promoting it instead`},
	})
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
// role back by itself.
func TestSwitchoverToAStarvedStandbyIsCancelled(t *testing.T) {
	c := begin(t)
	primary, target := c.before.primary, c.before.standbys[0]
	result := c.play(scenario.Scenario{
		Name: "switchover to a starved standby",
		Inject: func(ctx context.Context, p *scenario.Play) error {
			if err := c.starve(ctx, primary, target); err != nil {
				return err
			}
			return c.StartMove(ctx, target)
		},
		Turned: func(ctx context.Context, p *scenario.Play) error {
			return awaitErr(ctx, "cancelled", time.Minute, func() error {
				if c.count(target, logPacemaker, "switchover cancelled") == 0 {
					return fmt.Errorf("the agent on %s does not say so", target)
				}
				return nil
			})
		},
		Mend: func(ctx context.Context, p *scenario.Play) error {
			if err := c.ClearMove(ctx, target); err != nil {
				return err
			}
			return c.Unblock(ctx, primary)
		},
	})
	require.Equal(t, primary, result.After)
	c.end(outcome{
		promotions: 1, restarted: []string{primary, target},
		failures: []string{`promote.* on ` + target + `: .*switchover cancelled`},
	})
}
