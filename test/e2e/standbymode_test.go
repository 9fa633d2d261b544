//go:build lab

package e2e

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"pgsqlms/test/scenario"
)

// A standby's node is put into standby mode and back. The primary and its clients take no notice.
func TestStandbysNodeInStandbyMode(t *testing.T) {
	c := begin(t)
	node := c.before.standbys[0]
	result := c.play(scenario.Scenario{
		Name:   "standby mode for a standby's node",
		Inject: c.standbyMode(node),
		Turned: c.stoppedOn(node),
		Mend:   c.activeMode(node),
	})
	assert.Less(t, result.Gap.Length(), time.Second, "the write gap: nothing happened to the primary")
	c.end(outcome{restarted: []string{node}})
}

// The primary's node is put into standby mode: its role is handed over to a standby, and it is stopped cleanly. Back in
// active mode it is a standby.
func TestPrimarysNodeInStandbyMode(t *testing.T) {
	c := begin(t)
	node := c.before.primary
	result := c.play(scenario.Scenario{
		Name:   "standby mode for the primary's node",
		Inject: c.standbyMode(node),
		Turned: c.stoppedOn(node),
		Mend:   c.activeMode(node),
	})
	assert.Contains(t, c.before.standbys, result.After)
	assert.Zero(t, c.count(node, logPostgres, logCrashed), "starts of the old primary after a crash")
	c.end(outcome{primary: result.After, promotions: 1, restarted: []string{node}})
}

func (c *cluster) standbyMode(node string) step {
	return func(ctx context.Context, _ *scenario.Play) error {
		_, err := c.Run(ctx, c.any(), "crm_attribute", "--node", node, "--name", "standby", "--update", "on")
		return err
	}
}

func (c *cluster) activeMode(node string) step {
	return func(ctx context.Context, _ *scenario.Play) error {
		_, err := c.Run(ctx, c.any(), "crm_attribute", "--node", node, "--name", "standby", "--delete")
		return err
	}
}

// stoppedOn waits until Pacemaker has stopped the instance of a node and has nothing more to do.
func (c *cluster) stoppedOn(node string) step {
	return func(ctx context.Context, _ *scenario.Play) error {
		return awaitErr(ctx, "stopped on "+node, time.Minute, func() error {
			status, err := c.Status(ctx)
			if err != nil {
				return err
			}
			if role := status.Nodes[node].Role; role != "" || status.DCState != "S_IDLE" {
				return fmt.Errorf("its role is %q, the coordinator is in %s", role, status.DCState)
			}
			return nil
		})
	}
}
