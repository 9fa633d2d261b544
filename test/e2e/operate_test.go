//go:build lab

package e2e

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
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

// A cluster that is set up as README.md says passes the check on every node, each of which connects to all others for
// replication.
func TestCheckCommand(t *testing.T) {
	c := begin(t)
	for _, node := range c.Nodes() {
		result := c.command(node.Name, "check")
		t.Log(result.Stdout)
		assert.Zero(t, result.Code, "%s%s", result.Stdout, result.Stderr)
		assert.Contains(t, result.Stdout, ": no error, ")
		assert.Contains(t, result.Stdout, "a connection for replication from "+node.Name+" is let in")
	}
	c.end(outcome{})
}
