//go:build lab

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"pgsqlms/test/lab"
)

// forced is how crm_resource tells the result of an action that it ran on this node itself, up to the begin of its meaning, in
// lower case: Pacemaker 3 begins words with capitals.
func forced(action, resource string, code int, meaning string) string {
	return fmt.Sprintf("operation force-%s for %s (ocf:heartbeat:pgsqlms) returned %d (%s", action, resource, code, meaning)
}

// force has crm_resource run the agent on a node on its own: with less in its environment than Pacemaker gives, and, when
// the clone is named and not the primitive, under another instance name.
func (c *cluster) force(node, action, resource string) lab.Result {
	c.t.Helper()
	return c.try(node, "crm_resource", "--force-"+action, "--resource", resource)
}

// force-check tells the role, of the primitive and of the clone, and changes nothing.
func TestForceCheckTellsTheRole(t *testing.T) {
	c := begin(t)
	before := c.cib().version()
	for _, node := range c.Nodes() {
		code, meaning := ocfSuccess, "ok"
		if node.Name == c.before.primary {
			code, meaning = ocfRunningPromoted, "promoted"
		}
		for _, resource := range []string{lab.Resource, lab.CloneResource} {
			result := c.force(node.Name, "check", resource)
			assert.Equal(t, code, result.Code, "exit code on %s: %s", node.Name, result.Stderr)
			assert.Contains(t, strings.ToLower(result.Stdout), forced("check", resource, code, meaning), "on %s", node.Name)
		}
	}
	assert.Equal(t, before, c.cib().version(), "the version of the CIB")
	c.end(outcome{})
}

// byHand has an action run on a node, asserts its result, and returns what was said.
func (c *cluster) byHand(node, action string, code int, meaning string) (said string) {
	c.t.Helper()
	result := c.force(node, action, lab.Resource)
	require.Contains(c.t, strings.ToLower(result.Stdout), forced(action, lab.Resource, code, meaning), "on %s", node)
	assert.Equal(c.t, code, result.Code, "exit code of force-%s on %s: %s", action, node, result.Stderr)
	return result.Stdout
}

// Under maintenance mode an administrator stops and starts a standby by hand, and Pacemaker takes it over as it finds it.
// What is done already succeeds. A promotion beside the primary is refused.
func TestForceStopAndStartOfAStandby(t *testing.T) {
	c := begin(t)
	standby := c.before.standbys[0]
	c.maintenance(true)
	c.byHand(standby, "demote", ocfSuccess, "ok")
	c.byHand(standby, "stop", ocfSuccess, "ok")
	c.byHand(standby, "check", ocfNotRunning, "not running")
	c.byHand(standby, "stop", ocfSuccess, "ok")
	c.byHand(standby, "start", ocfSuccess, "ok")
	c.byHand(standby, "check", ocfSuccess, "ok")
	c.byHand(standby, "start", ocfSuccess, "ok")
	c.await("streaming", 30*time.Second, func() error { return c.streams(standby) })
	assert.Contains(t, c.byHand(standby, "promote", ocfGeneric, "error"), ": the standby in ")
	c.maintenance(false)
	c.end(outcome{restarted: []string{standby}})
}

// Under maintenance mode an administrator demotes and promotes the primary by hand.
func TestForceDemoteAndPromoteOfThePrimary(t *testing.T) {
	c := begin(t)
	primary := c.before.primary
	c.maintenance(true)
	c.byHand(primary, "promote", ocfSuccess, "ok")
	c.byHand(primary, "demote", ocfSuccess, "ok")
	c.byHand(primary, "check", ocfSuccess, "ok")
	c.byHand(primary, "promote", ocfSuccess, "ok")
	c.byHand(primary, "check", ocfRunningPromoted, "promoted")
	c.maintenance(false)
	c.end(outcome{promotions: 1, restarted: []string{primary}})
}

// streams says whether a standby receives WAL.
func (c *cluster) streams(standby string) error {
	status, err := c.SQL(c.ctx, standby, "select status from pg_stat_wal_receiver")
	if err == nil && status != "streaming" {
		err = fmt.Errorf("the WAL receiver's status is %q", status)
	}
	return err
}
