//go:build lab

package e2e

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"pgsqlms/test/lab"
)

// shownFinding is of `pgsqlms check --output json` what the tests look at.
type shownFinding struct {
	Check, Level, Node, Found, Expected string
	ToDo                                string `json:"to_do"`
}

func (f shownFinding) bad() bool { return f.Level == "error" || f.Level == "warning" }

// findings are those of a check that are errors or warnings, without the one that counts what status shows.
func (c *cluster) findings(node string) (bad []shownFinding) {
	c.t.Helper()
	result := c.command(node, "check", "--output", "json")
	require.Empty(c.t, result.Stderr)
	var shown struct{ Findings []shownFinding }
	require.NoError(c.t, json.Unmarshal([]byte(result.Stdout), &shown))
	return slices.DeleteFunc(shown.Findings, func(f shownFinding) bool { return !f.bad() || f.Check == "status" })
}

// obey does what a line "to do" says, as somebody would who copies it: with pcs where it offers both tools, as another user
// and on another node where it says so.
func (c *cluster) obey(node, todo string) {
	c.t.Helper()
	todo, _, _ = strings.Cut(todo, ", or crm ")
	if _, command, found := strings.Cut(todo, ", then: "); found {
		todo = command
	}
	user := "root"
	if m := regexp.MustCompile(`^(.*), as (\w+), on (\w+)$`).FindStringSubmatch(todo); m != nil {
		todo, user, node = m[1], m[2], m[3]
	}
	c.t.Logf("%s, on %s: %s", user, node, todo)
	result, err := c.Exec(c.ctx, node, lab.ExecOptions{User: user}, "/bin/sh", "-ec", todo)
	require.NoError(c.t, err)
	require.Zero(c.t, result.Code, "%s%s", result.Stdout, result.Stderr)
}

// Each trap is found in a running cluster, and what the check says to do about it mends it.
func TestCheckMends(t *testing.T) {
	c := begin(t)
	primary, standby := c.before.primary, c.before.standbys[0]
	on := c.any()
	require.Empty(t, c.findings(on))
	clone := lab.CloneResource
	slot := "select pg_create_physical_replication_slot('unused', true)"
	for _, trap := range []struct {
		what  string
		set   func()
		check string
		found string
	}{
		{"no notifications", func() { c.run(on, "crm_resource", "--meta", "-r", clone, "-p", "notify", "-v", "false") }, "notify", "notify=false"},
		{"a symmetrical order", func() {
			c.run(on, "cibadmin", "--modify", "--xml-text", `<rsc_order id="demote-then-vip-stop" symmetrical="true"/>`)
		}, "order", "symmetrical=true"},
		{"no order", func() { c.run(on, "cibadmin", "--delete", "--xml-text", `<rsc_order id="promote-then-vip"/>`) }, "order", "none of promote and start"},
		{"an address that may stay behind", func() {
			c.run(on, "cibadmin", "--modify", "--xml-text", `<rsc_colocation id="vip-with-primary" score="100"/>`)
		}, "constraints", "prefers to run with the primary"},
		{"a short timeout", func() { c.shell(t, "pcs resource update pgsqld op stop interval=0s timeout=5s enabled=true") }, "operations", "stop: timeout 5s"},
		{"a failed stop that blocks", func() { c.shell(t, "pcs resource update pgsqld op stop interval=0s timeout=60s on-fail=block") }, "operations", "on-fail=block"},
		{"maintenance mode", func() { c.run(on, "crm_attribute", "-n", "maintenance-mode", "-v", "true") }, "maintenance", "on"},
		{"no guard", func() {
			c.run(on, "crm_resource", "-r", lab.Resource, "--set-parameter", "sync_guard", "--parameter-value", "false")
		}, "synchronous", "sync_guard=false"},
		{"a ban that was left", func() { c.run(on, "crm_resource", "--ban", "-r", clone, "--node", c.before.standbys[1]) }, "constraints", "cli-ban-"},
		{"a slot that nobody uses", func() { c.sql(primary, slot) }, "kept WAL", "slot unused"},
	} {
		trap.set()
		var mine []shownFinding
		c.await(trap.what+" is found", 20*time.Second, func() error {
			mine = slices.DeleteFunc(c.findings(on), func(f shownFinding) bool { return f.Check != trap.check || !strings.Contains(f.Found, trap.found) })
			if len(mine) == 0 {
				return fmt.Errorf("found %+v", c.findings(on))
			}
			return nil
		})
		require.Len(t, mine, 1, trap.what)
		todo := mine[0].ToDo
		if only, drop, found := strings.Cut(todo, "any more, "); found { // a slot is dropped only if
			assert.Contains(t, only, "only if nobody will use it")
			todo = drop
		}
		c.obey(on, todo)
		c.settled()
		require.NoError(t, c.WaitWhole(c.ctx), trap.what)
		require.Empty(t, c.findings(on), "after %q", todo)
	}
	for _, node := range []string{primary, standby} {
		assert.Empty(t, c.findings(node), node)
	}
	assert.Contains(t, c.run(on, "cibadmin", "--query", "--xpath", "//op[@name='stop' and @timeout='60s']"), "pgsqld", "the other options of the operation are as they were")
	c.end(outcome{restarted: c.before.standbys[1:]})
}

// What is wrong in a running cluster is said, on this node and on another one, whatever still answers there.
func TestStatusOfTroubles(t *testing.T) {
	c := begin(t)
	primary, standby, other := c.before.primary, c.before.standbys[0], c.before.standbys[1]
	problem := func(on, node, text string) (todo string) {
		t.Helper()
		var last shownStatus
		c.await(fmt.Sprintf("%s says of %s: %s", on, node, text), 30*time.Second, func() error {
			result := c.command(on, "status", "--output", "json")
			last = shownStatus{}
			if err := json.Unmarshal([]byte(result.Stdout), &last); err != nil {
				return err
			}
			for _, p := range last.Problems {
				if p.Node == node && strings.Contains(p.Text, text) && result.Code == 1 {
					todo = p.ToDo
					return nil
				}
			}
			return fmt.Errorf("exit code %d, problems %+v", result.Code, last.Problems)
		})
		return todo
	}
	t.Log("the address is stopped")
	c.run(other, "crm_resource", "--meta", "-r", lab.VIPResource, "-p", "target-role", "-v", "Stopped")
	problem(other, primary, lab.VIPResource+" runs nowhere")
	c.run(other, "crm_resource", "--meta", "-r", lab.VIPResource, "-d", "target-role")
	require.NoError(t, c.WaitWhole(c.ctx))

	t.Log("the fence device is stopped")
	c.run(other, "crm_resource", "--meta", "-r", lab.FenceResource, "-p", "target-role", "-v", "Stopped")
	problem(other, "", "no fence device runs")
	c.run(other, "crm_resource", "--meta", "-r", lab.FenceResource, "-d", "target-role")
	require.NoError(t, c.WaitWhole(c.ctx))

	t.Log("Pacemaker is stopped on a standby's node")
	require.NoError(t, c.StopCluster(c.ctx, standby))
	problem(other, standby, "the node is not in the cluster")
	problem(standby, standby, "Pacemaker does not answer on this node")
	require.NoError(t, c.StartCluster(c.ctx, standby))
	require.NoError(t, c.WaitWhole(c.ctx))

	t.Log("PostgreSQL is killed while nobody looks after it")
	c.maintenance(true)
	require.NoError(t, c.KillPostgres(c.ctx, primary))
	problem(primary, primary, "PostgreSQL does not run and was not shut down")
	problem(other, primary, "its instance does not answer")
	c.maintenance(false)
	require.NoError(t, c.WaitWhole(c.ctx))
	c.forgetFailures()

	t.Log("nobody may run, by target-role")
	c.run(other, "crm_resource", "--meta", "-r", lab.CloneResource, "-p", "target-role", "-v", "Stopped")
	c.settled()
	todo := problem(other, "", "its target-role is Stopped")
	c.obey(other, todo)
	require.NoError(t, c.WaitWhole(c.ctx))
	c.run(other, "crm_resource", "--meta", "-r", lab.Resource, "-p", "target-role", "-v", "Stopped", "--force")
	c.settled()
	c.obey(other, problem(other, "", "its target-role is Stopped"))
	require.NoError(t, c.WaitWhole(c.ctx))
	assert.True(t, c.shown(other, 0).Well)
}
