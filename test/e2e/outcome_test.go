//go:build lab

package e2e

import (
	"regexp"
	"slices"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"pgsqlms/test/lab"
)

// outcome is what a test expects of the cluster at its end. The zero value is that of a cluster to which nothing
// happened: nobody fenced, no failed action, no promotion, no restart of PostgreSQL, the same primary.
type outcome struct {
	primary    string   // empty for the one from before
	promotions int      // each begins one timeline
	restarted  []string // the nodes whose PostgreSQL was started again
	fenced     []string // the nodes that were fenced, in order
	failures   []string // regular expressions, one for each failed action that Pacemaker is to remember
}

// end waits until the cluster is whole and ready, asserts what happened, and clears Pacemaker's memory of the failures
// that were expected.
func (c *cluster) end(want outcome) {
	c.t.Helper()
	require.NoError(c.t, c.WaitWhole(c.ctx))
	now := c.look()
	if want.primary == "" {
		want.primary = c.before.primary
	}
	assert.Equal(c.t, want.primary, now.primary, "the primary")
	assert.Equal(c.t, want.promotions, now.timeline-c.before.timeline, "the number of timelines begun")
	assert.Equal(c.t, c.sorted(want.restarted), c.restarted(now), "the nodes whose PostgreSQL was started again")
	assert.Equal(c.t, c.before.constraints, now.constraints, "the location rules")
	c.assertFencings(want.fenced)
	c.assertFailures(want.failures, now.failures)
	if len(now.failures) > 0 && !c.t.Failed() {
		c.forgetFailures()
	}
}

func (c *cluster) sorted(nodes []string) []string {
	sorted := slices.Clone(nodes)
	slices.Sort(sorted)
	return sorted
}

func (c *cluster) restarted(now snapshot) []string {
	var nodes []string
	for _, n := range c.Nodes() {
		if now.started[n.Name] != c.before.started[n.Name] {
			nodes = append(nodes, n.Name)
		}
	}
	return nodes
}

// fencings are those since the test began.
func (c *cluster) fencings() []lab.Fencing {
	c.t.Helper()
	all, err := c.Fencings()
	require.NoError(c.t, err)
	return all[c.before.fencings:]
}

func (c *cluster) assertFencings(want []string) {
	c.t.Helper()
	var victims []string
	for _, f := range c.fencings() {
		assert.Empty(c.t, f.Error, "fencing of %s", f.Victim)
		victims = append(victims, f.Victim)
	}
	assert.Equal(c.t, want, victims, "the nodes fenced")
}

// assertFailures wants each failure expected, and each expected failure there.
func (c *cluster) assertFailures(want, found []string) {
	c.t.Helper()
	for _, f := range found {
		expected := slices.ContainsFunc(want, func(re string) bool { return regexp.MustCompile(re).MatchString(f) })
		assert.True(c.t, expected, "a failed action that was not expected: %s", f)
	}
	for _, re := range want {
		seen := slices.ContainsFunc(found, regexp.MustCompile(re).MatchString)
		assert.True(c.t, seen, "no failed action matches %q, found: %q", re, found)
	}
}
