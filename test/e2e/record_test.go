//go:build lab

package e2e

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"pgsqlms/test/scenario"
)

// The cluster's record goes back to the one before the last promotion, as with the CIB of a node that was cut off and has come
// back, and the primary's node dies. Those who vote have seen the later record, put it back, and the promotion goes on from
// there.
func TestAnOlderRecordIsPutBack(t *testing.T) {
	c := begin(t)
	target := c.before.standbys[0]
	earlier := c.record()
	c.switchover(c.any(), target, 0)
	c.await("the record of the switchover", time.Minute, func() error { return c.recordNames(c.ctx, target) })
	require.NoError(t, c.WaitWhole(c.ctx))
	later := c.record()
	require.NotEqual(t, earlier, later)
	c.await("the others have seen it", 2*time.Minute, func() error { return c.haveSeen(c.ctx, later, target) })

	result := c.play(scenario.Scenario{
		Name: "kill of the primary's node beside an older record",
		Inject: func(ctx context.Context, p *scenario.Play) error {
			if err := c.quiesce(ctx, p.Primary, c.before.primary, c.before.standbys[1]); err != nil {
				return err
			}
			_, err := c.Run(ctx, target, append(recordTool, "-v", earlier)...)
			return errors.Join(err, c.KillNode(ctx, p.Primary))
		},
	})
	put := 0
	for _, n := range c.Nodes() {
		put += c.count(n.Name, logPacemaker, "the CIB has an older record of the cluster's timelines")
	}
	assert.Positive(t, put)
	assert.Regexp(t, fmt.Sprintf(`timeline=%d node=%s from=%d@`, c.before.timeline+2, result.After, c.before.timeline+1), c.record())
	c.end(outcome{primary: result.After, promotions: 2, fenced: []string{target}, restarted: []string{c.before.primary, target}})
}

var recordTool = []string{"crm_attribute", "-t", "crm_config", "-s", "pgsqlms-lineage", "-n", "pgsqlms-pgsqld"}

func (c *cluster) record() string {
	c.t.Helper()
	out, err := c.recordOn(c.ctx, c.any())
	require.NoError(c.t, err)
	return strings.TrimSpace(out)
}

// recordOn is the record as a node's CIB has it.
func (c *cluster) recordOn(ctx context.Context, node string) (string, error) {
	return c.Run(ctx, node, append(recordTool, "-G", "-q")...)
}

var recordSerial = regexp.MustCompile(`^serial=\d+ `)

// haveSeen says which node does not remember a record yet, but for one.
func (c *cluster) haveSeen(ctx context.Context, record, except string) error {
	var missing error
	for _, n := range c.Nodes() {
		if n.Name == except {
			continue
		}
		out, err := c.Run(ctx, n.Name, "cat", "/run/resource-agents/pgsqlms-pgsqld.json")
		if err == nil && !strings.Contains(out, recordSerial.FindString(record)) {
			err = fmt.Errorf("%s remembers %s", n.Name, out)
		}
		missing = errors.Join(missing, err)
	}
	return missing
}
