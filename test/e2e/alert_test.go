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
)

// The hook writes a line for each time it is run, as the user that runs it.
const (
	hookPath = "/usr/local/sbin/on-promotion"
	hookTold = "/var/tmp/told"
	hookText = "#!/bin/sh\necho $(id -un) $PGSQLMS_EVENT $PGSQLMS_CLUSTER/$PGSQLMS_RESOURCE from $PGSQLMS_OLD_PRIMARY to $PGSQLMS_NEW_PRIMARY " +
		"timeline $PGSQLMS_TIMELINE lsn $PGSQLMS_LSN at $PGSQLMS_TIME >>" + hookTold + "\necho told them\n"
)

// Through two switchovers and the loss of the primary's node, the hook is run once for each promotion, on the node that was
// promoted, as hacluster, and knows the primary before and the timeline. An alert that is given again runs nothing.
func TestAlertRunsTheHookOnceForAChange(t *testing.T) {
	c := begin(t)
	for _, n := range c.Nodes() {
		require.NoError(t, c.WriteFile(n.Name, hookPath, []byte(hookText), 0o755, ""))
	}
	on := c.any()
	c.run(on, "pcs", "alert", "create", "path="+c.Agent(), "id=told", "options", "hook_timeout=10")
	c.run(on, "pcs", "alert", "recipient", "add", "told", "value="+hookPath)
	t.Cleanup(func() {
		ctx := context.WithoutCancel(c.ctx)
		_, _ = c.Run(ctx, on, "pcs", "alert", "remove", "told")
		for _, n := range c.Nodes() {
			_, _ = c.Run(ctx, n.Name, "rm", "-f", hookTold)
		}
	})
	old, there := c.before.primary, c.before.standbys[0]
	c.switchover(on, there, 0)
	c.awaitTold(there, old, c.before.timeline+1)
	require.NoError(t, c.WaitWhole(c.ctx))
	c.switchover(on, old, 0)
	c.awaitTold(old, there, c.before.timeline+2)
	require.NoError(t, c.WaitWhole(c.ctx))

	c.await("all that was written is everywhere", 30*time.Second, func() error { return c.isEverywhere(c.ctx, old) })
	require.NoError(t, c.KillNode(c.ctx, old))
	require.NoError(t, c.WaitWhole(c.ctx))
	now := c.look()
	c.awaitTold(now.primary, old, c.before.timeline+3)

	// The same alert once more, and a promotion of what is promoted.
	c.run(now.primary, "runuser", "-u", "hacluster", "--", "env", "CRM_alert_version=2.1.5", "CRM_alert_kind=resource", "CRM_alert_task=promote",
		"CRM_alert_rsc=pgsqld", "CRM_alert_node="+now.primary, "CRM_alert_rc=0", "CRM_alert_target_rc=0", "CRM_alert_status=0",
		"CRM_alert_recipient="+hookPath, c.Agent())
	told := 0
	for _, n := range c.Nodes() {
		told += len(c.told(n.Name))
	}
	assert.Equal(t, 3, told, "the hook is run once for each promotion")
	assert.NotEmpty(t, c.linesWith(now.primary, logPacemaker, "of which "+hookPath+" was told: it ended with 0 after"))
	c.end(outcome{primary: now.primary, promotions: 3, fenced: []string{old}, restarted: c.movedAndLost(old, there, now.primary)})
}

// movedAndLost are the nodes whose instance was started again: each demotion does, and a power loss.
func (c *cluster) movedAndLost(nodes ...string) []string {
	var restarted []string
	for _, n := range c.Nodes() {
		for _, name := range nodes[:2] {
			if n.Name == name {
				restarted = append(restarted, name)
			}
		}
	}
	return restarted
}

// told are the lines that the hook wrote on a node.
func (c *cluster) told(node string) []string {
	text, err := c.ReadFile(node, hookTold)
	if err != nil {
		return nil
	}
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

func (c *cluster) awaitTold(node, from string, timeline int) {
	c.t.Helper()
	want := fmt.Sprintf("from %s to %s timeline %d lsn ", from, node, timeline)
	c.await("the hook on "+node, 30*time.Second, func() error {
		for _, line := range c.told(node) {
			if strings.HasPrefix(line, "hacluster promoted ") && strings.Contains(line, want) {
				c.t.Log(line)
				return nil
			}
		}
		return fmt.Errorf("found %q, expected %q", c.told(node), want)
	})
}

// isEverywhere says what is missing until both standbys have all of a primary's write-ahead log. One that streams may still be
// at the end of the timeline before.
func (c *cluster) isEverywhere(ctx context.Context, primary string) error {
	n, err := c.SQL(ctx, primary, "select count(*) from pg_stat_replication where replay_lsn >= pg_current_wal_lsn()")
	if err == nil && n != "2" {
		err = fmt.Errorf("%s standbys have all", n)
	}
	return err
}
