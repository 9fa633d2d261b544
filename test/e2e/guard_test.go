//go:build lab

package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"pgsqlms/test/scenario"
)

// Commits wait for any one of two standbys. One is stopped; then the primary's node dies. What the primary acknowledged may
// be on the stopped one alone, so the other is not promoted, and says for whom it waits. The dead node's return settles it,
// and the promotion goes on by itself.
func TestPromotionWaitsForTheVoteThatSettlesIt(t *testing.T) {
	c := begin(t)
	old, left, stopped := c.before.primary, c.before.standbys[0], c.before.standbys[1]
	either := strings.Join(c.sorted([]string{old, stopped}), " or ")
	c.fencingTakes(fencingDelay)
	var awaited time.Time
	result := c.play(scenario.Scenario{
		Name: "kill of the primary's node with too few votes left",
		Inject: func(ctx context.Context, p *scenario.Play) error {
			if err := c.standbyMode(stopped)(ctx, p); err != nil {
				return err
			}
			if err := c.stoppedOn(stopped)(ctx, p); err != nil {
				return err
			}
			return c.KillNode(ctx, old)
		},
		Turned: func(ctx context.Context, p *scenario.Play) error {
			err := awaitErr(ctx, "refused", time.Minute, func() error { return c.failed(ctx, "promote_0 on "+left, "waits for "+either) })
			if err != nil {
				return err
			}
			awaited = time.Now()
			c.assertExplainsTheWait(left, old, either)
			return awaitErr(ctx, "promoted", time.Minute, func() error {
				_, err := c.Primary(ctx)
				return err
			})
		},
		Mend: c.activeMode(stopped),
	})
	assert.Contains(t, []string{old, left}, result.After)
	promoted := c.lastPromotion(result.After)
	assert.True(t, promoted.After(awaited), "%s was promoted at %s, the refusal was seen at %s", result.After, promoted, awaited)
	assert.True(t, promoted.After(c.poweredAgain(old)), "promoted before the node was back whose vote was awaited")
	c.end(outcome{
		primary: result.After, promotions: 1, fenced: []string{old}, restarted: []string{old, left, stopped},
		failures: []string{"promote_0 on " + left + ".*waits for " + either},
	})
}

// failed says whether Pacemaker remembers a failed action with these texts in it.
func (c *cluster) failed(ctx context.Context, texts ...string) error {
	status, err := c.Status(ctx)
	if err != nil {
		return err
	}
	for _, f := range status.Failures {
		if !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(f, text) }) {
			return nil
		}
	}
	return fmt.Errorf("no failed action with %q, found: %q", texts, status.Failures)
}
