//go:build lab

package e2e

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"pgsqlms/test/scenario"
)

// Pacemaker and Corosync are stopped and started on all nodes under maintenance mode, as for an upgrade. PostgreSQL runs on
// all the time. The scores are gone then, and a primary without one would be demoted as soon as maintenance mode ends: the
// probe that finds the primary gives them again.
func TestPacemakerRestartsUnderMaintenance(t *testing.T) {
	c := begin(t)
	result := c.play(scenario.Scenario{
		Name: "restart of Pacemaker and Corosync under maintenance mode",
		Inject: func(ctx context.Context, _ *scenario.Play) error {
			c.maintenance(true)
			if err := c.restartClusters(ctx); err != nil {
				return err
			}
			if err := awaitErr(ctx, "scores", c.Config().ReadyTimeout, c.hasScores); err != nil {
				return err
			}
			c.maintenance(false)
			return nil
		},
	})
	assert.Less(t, result.Gap.Length(), time.Second, "the write gap: nothing happened to PostgreSQL")
	c.end(outcome{})
}
