//go:build lab

package e2e

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"pgsqlms/test/scenario"
)

// A switchover there and back: each begins one timeline, restarts the old primary only, and leaves no rule behind.
func TestSwitchoverThereAndBack(t *testing.T) {
	c := begin(t)
	there, back := c.before.standbys[0], c.before.primary
	c.play(scenario.Switchover(there))
	c.end(outcome{primary: there, promotions: 1, restarted: []string{back}})
	assert.Zero(t, c.count(back, logPostgres, logCrashed), "starts of the old primary after a crash")
	c.before = c.look()
	c.play(scenario.Switchover(back))
	c.end(outcome{primary: back, promotions: 1, restarted: []string{there}})
	assert.Zero(t, c.count(there, logPostgres, logCrashed), "starts of the old primary after a crash")
	c.assertHistory(shownPromotion{From: back, To: there}, shownPromotion{From: there, To: back})
}
