//go:build lab

package e2e

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"pgsqlms/test/scenario"
)

// Texts of PostgreSQL's log.
const (
	logCrashed  = "database system was interrupted" // at the start, unless it was shut down cleanly
	logRedo     = "redo starts at"
	logPromoted = "received promote request"
)

// A crashed primary is recovered where it was, by one crash recovery, and without fencing.
func TestPrimarysPostmasterCrashes(t *testing.T) {
	c := begin(t)
	primary := c.before.primary
	c.play(scenario.KillPostgres())
	assert.Equal(t, 1, c.count(primary, logPostgres, logCrashed), "starts after a crash")
	assert.Equal(t, 1, c.count(primary, logPostgres, logRedo), "crash recoveries")
	// One to recover; the failure counts may add one, as Pacemaker begins before it has them all; one for the scores, and
	// one for each of the two notes of the promotion in the record.
	assert.LessOrEqual(t, c.transitions(), 5, "transitions")
	c.end(outcome{
		promotions: 1,
		restarted:  []string{primary},
		failures:   []string{`monitor.* on ` + primary + `: .*the primary in .* is gone and was not shut down`},
	})
}

// A crashed standby is recovered where it was. The primary and its clients take no notice: the other standby confirms
// their commits.
func TestStandbysPostmasterCrashes(t *testing.T) {
	c := begin(t)
	standby := c.before.standbys[0]
	result := c.play(scenario.Scenario{
		Name:   "kill -9 of a standby's postmaster",
		Inject: c.killPostgres(standby),
		Turned: c.restartedBy(standby, 3*unpromotedInterval),
	})
	assert.Less(t, result.Gap.Length(), time.Second, "the write gap: nothing happened to the primary")
	assert.Equal(t, 1, c.count(standby, logPostgres, logCrashed), "starts after a crash")
	c.end(outcome{
		restarted: []string{standby},
		failures:  []string{`monitor.* on ` + standby + `: .*the standby in .* is gone and was not shut down`},
	})
}
