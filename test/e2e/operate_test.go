//go:build lab

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"pgsqlms/test/lab"
)

// shownSwitchover is of `pgsqlms switchover --output json` what the tests look at.
type shownSwitchover struct {
	Outcome, Primary, Reason string
	ToDo                     string   `json:"to_do"`
	Removed                  bool     `json:"constraint_removed"`
	Gap                      *float64 `json:"without_primary_seconds"`
	Measured                 string   `json:"without_primary_measured"`
}

// switchover runs the command on a node.
func (c *cluster) switchover(on, target string, code int) (s shownSwitchover) {
	c.t.Helper()
	result := c.try(on, c.Agent(), "switchover", target, "--yes", "--output", "json")
	require.Equal(c.t, code, result.Code, "%s%s", result.Stdout, result.Stderr)
	require.NoError(c.t, json.Unmarshal([]byte(result.Stdout), &s))
	c.t.Logf("switchover to %s, on %s: %+v, gap %v", target, on, s, s.gap())
	require.True(c.t, s.Removed, result.Stdout)
	require.Equal(c.t, c.before.constraints, c.constraints())
	return s
}

func (s shownSwitchover) gap() float64 {
	if s.Gap == nil {
		return -1
	}
	return *s.Gap
}

// There and back by the command, each from another node, and then to a standby that is starved while the command's checks
// still find it well: cancelled, with the agent's reason. No constraint is left.
func TestSwitchoverCommand(t *testing.T) {
	c := begin(t)
	back, there, third := c.before.primary, c.before.standbys[0], c.before.standbys[1]
	text := c.try(third, c.Agent(), "switchover", there, "--dry-run")
	t.Log(text.Stdout)
	require.Zero(t, text.Code, text.Stderr)
	require.Equal(t, 2, c.try(third, c.Agent(), "switchover", there).Code, "nobody there to be asked")
	for _, target := range []string{there, back} {
		s := c.switchover(third, target, 0)
		require.Equal(t, [2]string{"done", target}, [2]string{s.Outcome, s.Primary})
		require.NotNil(t, s.Gap)
		require.Contains(t, s.Measured, "over SQL")
		require.NoError(t, c.WaitWhole(c.ctx))
	}
	require.NoError(t, c.BlockPort(c.ctx, back, there, pgPort))
	c.sql(back, "create table starved as select 1 as n; drop table starved")
	s := c.switchover(third, there, 1)
	require.NoError(t, c.Unblock(context.WithoutCancel(c.ctx), back))
	require.Equal(t, [2]string{"cancelled", back}, [2]string{s.Outcome, s.Primary})
	assert.Contains(t, s.Reason, "switchover cancelled")
	assert.Equal(t, "crm_resource --cleanup -r pgsqld --node "+there, s.ToDo)
	c.run(third, "crm_resource", "--cleanup", "-r", "pgsqld", "--node", there)
	require.NoError(t, c.WaitWhole(c.ctx))
}

// onceMoved is a script that runs the command, and with the command's number in $p does that as soon as its constraint is
// there.
func (c *cluster) onceMoved(target, then string) string {
	return c.Agent() + " switchover " + target + ` --yes --output json & p=$!
for n in $(seq 200); do cibadmin --query --scope constraints | grep -q cli-prefer && break; sleep 0.02; done
` + then + `
wait $p`
}

// A command that is killed leaves its constraint behind: with an end, after which it holds no more, and with what takes it
// away said by status and by the next switchover.
func TestSwitchoverKilled(t *testing.T) {
	c := begin(t)
	on, target := c.before.standbys[1], c.before.standbys[0]
	c.try(on, "/bin/sh", "-c", c.onceMoved(target, "kill -9 $p"))
	left := c.run(on, "cibadmin", "--query", "--scope", "constraints")
	require.Contains(t, left, `id="cli-prefer-pgsqld-clone"`)
	require.Contains(t, left, "date_expression")
	c.await(target+" has the role", time.Minute, func() error { return c.isPromoted(c.ctx, target) })
	require.NoError(t, c.WaitWhole(c.ctx))
	refused := c.try(on, c.Agent(), "switchover", c.before.primary, "--yes", "--output", "json")
	require.Equal(t, 1, refused.Code, refused.Stdout)
	var todo string
	for _, f := range c.findings(on) {
		if strings.Contains(f.Found, "cli-prefer-pgsqld-clone") {
			todo = f.ToDo
		}
	}
	require.NotEmpty(t, todo)
	c.obey(on, todo)
	require.Equal(t, c.before.constraints, c.constraints())
	require.Equal(t, "done", c.switchover(on, c.before.primary, 0).Outcome)
	require.NoError(t, c.WaitWhole(c.ctx))
}

// The node that was to take the role dies: the switchover ends with it, and takes its constraint away, which would draw the
// role there once the node is back.
func TestSwitchoverTargetDies(t *testing.T) {
	c := begin(t)
	on, target := c.before.standbys[1], c.before.standbys[0]
	ended := make(chan lab.Result, 1)
	go func() {
		result, err := c.Exec(c.ctx, on, lab.ExecOptions{}, c.Agent(), "switchover", target, "--yes", "--output", "json")
		assert.NoError(t, err)
		ended <- result
	}()
	c.await("the constraint", 20*time.Second, func() error {
		if len(c.constraints()) == len(c.before.constraints) {
			return errors.New("none yet")
		}
		return nil
	})
	require.NoError(t, c.KillNode(c.ctx, target))
	began := time.Now()
	result := <-ended
	var s shownSwitchover
	require.NoError(t, json.Unmarshal([]byte(result.Stdout), &s), "%s%s", result.Stdout, result.Stderr)
	t.Logf("after %.1f s: exit code %d, %+v", time.Since(began).Seconds(), result.Code, s)
	if s.Outcome != "done" { // it may have had the role before its node died
		assert.Equal(t, "cancelled", s.Outcome)
		assert.Less(t, time.Since(began), time.Minute)
	}
	assert.True(t, s.Removed, result.Stdout)
	require.NoError(t, c.WaitWhole(c.ctx)) // the target may be the node that is asked
	require.Equal(t, c.before.constraints, c.constraints())
	c.forgetFailures()
}

// A cluster that is set up as README.md says passes the check on every node, each of which connects to all others for
// replication.
func TestCheckCommand(t *testing.T) {
	c := begin(t)
	c.await("all monitors have told their version", 20*time.Second, func() error {
		if result := c.command(c.any(), "check"); strings.Contains(result.Stdout, "has not told it") {
			return errors.New(result.Stdout)
		}
		return nil
	})
	for _, node := range c.Nodes() {
		result := c.command(node.Name, "check")
		t.Log(result.Stdout)
		assert.Zero(t, result.Code, "%s%s", result.Stdout, result.Stderr)
		assert.Contains(t, result.Stdout, ": no error, ")
		assert.Contains(t, result.Stdout, "a connection for replication from "+node.Name+" is let in")
	}
	c.end(outcome{})
}
