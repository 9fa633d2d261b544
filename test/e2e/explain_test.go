//go:build lab

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"pgsqlms/test/lab"
)

// shownExplanation is of `pgsqlms explain --output json` what the tests look at.
type shownExplanation struct {
	Verdict, Primary string
	Because          []struct {
		Node, Text string
		ToDo       string `json:"to_do"`
	}
	Nodes []struct {
		Node, Verdict string
		Promoted      bool
		Could         bool `json:"could_be_promoted"`
		Because       []struct {
			Text string
			ToDo string `json:"to_do"`
		}
	}
	Changes []shownChange
}

type shownChange struct {
	From, To     string
	Timeline     int
	Reason       string
	Begun, Ended *time.Time
	Spent        []struct {
		On      string
		Seconds float64
	}
	Steps []struct{ Node, What string }
}

func (c *cluster) explained(node string, code int, args ...string) (s shownExplanation) {
	c.t.Helper()
	text := c.try(node, append([]string{c.Agent(), "explain"}, args...)...)
	c.t.Logf("explain %v on %s:\n%s%s", args, node, text.Stdout, text.Stderr)
	require.Equal(c.t, code, text.Code)
	result := c.try(node, append([]string{c.Agent(), "explain", "--output", "json"}, args...)...)
	require.Equal(c.t, code, result.Code, "%s%s", result.Stdout, result.Stderr)
	require.NoError(c.t, json.Unmarshal([]byte(result.Stdout), &s))
	return s
}

func (s shownChange) did(what string) bool {
	for _, step := range s.Steps {
		if strings.Contains(step.What, what) {
			return true
		}
	}
	return false
}

func (s shownChange) spent(on string) (seconds, all float64) {
	for _, part := range s.Spent {
		all += part.Seconds
		if part.On == on {
			seconds = part.Seconds
		}
	}
	return seconds, all
}

// The primary's node dies and cannot be fenced: every node says why nobody is promoted, and what to do. Then the fence
// device works again: every node tells of the change, and how much of it went to fencing.
func TestExplainFailover(t *testing.T) {
	c := begin(t)
	old := c.before.primary
	require.NoError(t, c.SetFencing(c.ctx, lab.FencingMode{Fail: true}))
	t.Cleanup(func() { assert.NoError(t, c.SetFencing(context.WithoutCancel(c.ctx), lab.FencingMode{})) })
	require.NoError(t, c.KillNode(c.ctx, old))
	c.await("a fencing has failed", time.Minute, func() error {
		shown, err := c.Run(c.ctx, c.before.standbys[0], "crm_mon", "-1", "-m", "3")
		failed := strings.Contains(shown, "reboot of "+old) && strings.Contains(shown, "failed")
		if err == nil && !failed {
			err = fmt.Errorf("shown is %q", shown)
		}
		return err
	})
	lost := c.shown(c.before.standbys[0], 1)
	assert.Contains(t, fmt.Sprint(lost.Problems), "the node is lost and not fenced yet")
	for _, node := range c.before.standbys {
		s := c.explained(node, 1)
		assert.Empty(t, s.Primary)
		assert.Contains(t, s.Verdict, "nobody is promoted: "+old+" is lost and not fenced yet")
		require.NotEmpty(t, s.Because)
		assert.Contains(t, s.Because[0].ToDo, "stonith_admin --confirm "+old)
		require.NotEmpty(t, s.Changes)
		assert.Empty(t, s.Changes[0].To, "it goes on")
		assert.True(t, s.Changes[0].did(old+" is lost"))
	}
	require.NoError(t, c.SetFencing(c.ctx, lab.FencingMode{Delay: fencingDelay}))
	// Pacemaker tries again by itself, after a while that is not what is tested here.
	c.try(c.before.standbys[0], "stonith_admin", "--reboot", old)
	require.NoError(t, c.WaitWhole(c.ctx))
	now := c.look()
	require.NotEqual(t, old, now.primary)
	for _, node := range c.before.standbys { // the old primary's log has a hole
		s := c.explained(node, 0, "--last", "1")
		assert.Equal(t, now.primary, s.Primary)
		assert.Contains(t, s.Verdict, now.primary+" is the primary since ")
		require.Len(t, s.Changes, 1)
		change := s.Changes[0]
		assert.Equal(t, [2]string{old, now.primary}, [2]string{change.From, change.To})
		assert.Equal(t, now.timeline, change.Timeline)
		assert.Contains(t, change.Reason, old+" was fenced")
		assert.True(t, change.did(old+" is fenced"))
		assert.True(t, change.did("promote"))
		assert.True(t, change.did("start of "+lab.VIPResource))
		fencing, all := change.spent("fencing")
		assert.GreaterOrEqual(t, fencing, fencingDelay.Seconds())
		require.NotNil(t, change.Ended)
		assert.InDelta(t, change.Ended.Sub(*change.Begun).Seconds(), all, 0.01)
	}
	for _, node := range c.before.standbys {
		result := c.command(node, "history", "--output", "json")
		require.Zero(t, result.Code, result.Stderr)
		var shown struct{ Promotions []shownPromotion }
		require.NoError(t, json.Unmarshal([]byte(result.Stdout), &shown))
		require.NotEmpty(t, shown.Promotions)
		last := shown.Promotions[len(shown.Promotions)-1]
		assert.Equal(t, [2]string{old, now.primary}, [2]string{last.From, last.To}, "on %s", node)
		assert.Contains(t, last.Reason, old+" was fenced", "on %s", node)
		assert.True(t, last.Lineage, "on %s", node)
	}
	c.explained(old, 0, old)
	c.run(now.primary, "stonith_admin", "--cleanup", "--history", old)
}

// A standby that a constraint keeps from the role is told of, with the command that removes the constraint.
func TestExplainBan(t *testing.T) {
	c := begin(t)
	banned, other := c.before.standbys[0], c.before.standbys[1]
	c.explained(other, 0, banned)
	role := "--promoted"
	if strings.HasPrefix(c.PacemakerVersion(), "2.0") {
		role = "--master"
	}
	c.run(other, "crm_resource", "--ban", "-r", "pgsqld-clone", role, "--node", banned)
	t.Cleanup(func() { c.try(other, "crm_resource", "--clear", "-r", "pgsqld-clone") })
	s := c.explained(c.before.primary, 1, banned)
	require.Len(t, s.Nodes, 1)
	assert.False(t, s.Nodes[0].Could)
	require.NotEmpty(t, s.Nodes[0].Because)
	assert.Contains(t, s.Nodes[0].Because[0].Text, "keeps the role Promoted from "+banned)
	c.run(other, strings.Fields(s.Nodes[0].Because[0].ToDo)...)
	c.explained(c.before.primary, 0, banned)
	c.end(outcome{})
}

// assertExplainsTheWait wants an election that waits to be told of, with whom it waits for.
func (c *cluster) assertExplainsTheWait(on, old, either string) {
	c.t.Helper()
	s := c.explained(on, 1)
	assert.Contains(c.t, s.Verdict, "nobody is promoted: the election on "+on+" waits for "+either)
	require.NotEmpty(c.t, s.Changes)
	assert.True(c.t, s.Changes[0].did(old+" is lost"))
	assert.True(c.t, s.Changes[0].did("promote failed"))
}
