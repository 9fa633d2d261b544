//go:build lab

package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"pgsqlms/test/lab"
)

// A parameter that is set to nonsense while PostgreSQL runs disturbs nobody: the primary stays the primary, and says what
// is wrong. Stopping the instances succeeds on every node, so nobody is fenced. With the parameter mended they start again.
func TestBrokenParametersDisturbNobody(t *testing.T) {
	c := begin(t)
	broken := map[string]string{"maxlag": "nan", "pgport": "abc", "bindir": "/nonexistent"}
	for name, value := range broken {
		c.setParameter(name, value)
	}
	c.settled()
	c.monitorsRun(c.before.primary, 3)
	for _, node := range c.Nodes() {
		assert.Equal(t, c.before.started[node.Name], c.sql(node.Name, startedSQL), "PostgreSQL's start on %s", node.Name)
	}
	result := c.monitor(c.before.primary, "Promoted", broken)
	assert.Equal(t, ocfRunningPromoted, result.Code, result.Stderr)
	assert.Contains(t, result.Stderr, `parameter maxlag: found "nan"`)

	c.targetRole("Stopped")
	c.await("stopped on every node", time.Minute, func() error { return c.stoppedEverywhere() })
	c.assertFencings(nil)
	status, err := c.Status(c.ctx)
	require.NoError(t, err)
	require.Empty(t, status.Failures, "failed actions")

	for name := range broken {
		c.mendParameter(name)
	}
	c.targetRole("")
	c.end(outcome{promotions: 1, restarted: []string{"n1", "n2", "n3"}})
}

func (c *cluster) setParameter(name, value string) {
	c.t.Helper()
	c.run(c.any(), "crm_resource", "--resource", lab.Resource, "--set-parameter", name, "--parameter-value", value)
}

// mendParameter gives a parameter the value it has in this lab, which may be none.
func (c *cluster) mendParameter(name string) {
	c.t.Helper()
	if value, set := c.ResourceParams()[name]; set {
		c.setParameter(name, value)
		return
	}
	c.run(c.any(), "crm_resource", "--resource", lab.Resource, "--delete-parameter", name)
}

// targetRole tells Pacemaker to keep all instances stopped; empty takes that back.
func (c *cluster) targetRole(role string) {
	c.t.Helper()
	argv := []string{"crm_resource", "--resource", lab.CloneResource, "--meta"}
	if role == "" {
		c.run(c.any(), append(argv, "--delete-parameter", "target-role")...)
		return
	}
	c.run(c.any(), append(argv, "--set-parameter", "target-role", "--parameter-value", role)...)
}

// stoppedEverywhere says what is missing until PostgreSQL runs nowhere and Pacemaker knows it.
func (c *cluster) stoppedEverywhere() error {
	status, err := c.Status(c.ctx)
	if err != nil {
		return err
	}
	for name, node := range status.Nodes {
		if node.Role != "" || node.SQL != "no answer" {
			return fmt.Errorf("%s: role %q, its database is a %s", name, node.Role, node.SQL)
		}
	}
	return nil
}
