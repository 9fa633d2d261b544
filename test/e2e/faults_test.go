//go:build lab

package e2e

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"pgsqlms/test/scenario"
)

// play runs a scenario under writers at the VIP and at every node's own address, and asserts that nothing was lost, that
// no two nodes acknowledged at once, and that writing went on afterwards.
func (c *cluster) play(s scenario.Scenario) scenario.Result {
	c.t.Helper()
	runner := scenario.Runner{
		Lab: c.Lab, Pinned: true, Steady: time.Second,
		Progress: func(line string) { c.t.Log(line) },
	}
	result, err := runner.Run(c.ctx, s)
	require.NoError(c.t, err)
	c.t.Logf("%s: %s to %s, write gap %s, %d acknowledged, %d in doubt, whole after %s", s.Name, result.Before, result.After,
		result.Gap.Length().Round(time.Millisecond), result.Verdict.Acknowledged, result.Verdict.InDoubt,
		result.Streaming.Round(time.Millisecond))
	require.Empty(c.t, result.Complaints())
	return result
}

// step is a part of a scenario.
type step = func(ctx context.Context, p *scenario.Play) error

func (c *cluster) killPostgres(node string) step {
	return func(ctx context.Context, _ *scenario.Play) error { return c.KillPostgres(ctx, node) }
}

// restartedBy waits until a node's PostgreSQL is another one than at the test's begin, and answers.
func (c *cluster) restartedBy(node string, bound time.Duration) step {
	return func(ctx context.Context, _ *scenario.Play) error {
		return awaitErr(ctx, "PostgreSQL of "+node+" started again", bound, func() error {
			started, err := c.SQL(ctx, node, startedSQL)
			if err == nil && started == c.before.started[node] {
				err = fmt.Errorf("it runs since %s", started)
			}
			return err
		})
	}
}

// quiesce stops all writing, until the primary dies, and returns when the standbys that receive have all there is. What a
// primary has flushed and not sent when it dies makes it diverge; a test that wants it back by itself kills it like this.
func (c *cluster) quiesce(ctx context.Context, primary string, standbys ...string) error {
	conn, err := c.connect(ctx, primary)
	if err != nil {
		return err
	}
	if err := conn.Exec(ctx, "begin; lock table "+writersTable).Close(); err != nil {
		return err
	}
	behind := fmt.Sprintf("select count(*) from pg_stat_replication where application_name in ('%s') and write_lsn < pg_current_wal_lsn()",
		strings.Join(standbys, "', '"))
	return awaitErr(ctx, "everything sent", 5*time.Second, func() error {
		n, err := c.SQL(ctx, primary, behind)
		if err == nil && n != "0" {
			err = fmt.Errorf("%s of %v are behind", n, standbys)
		}
		return err
	})
}

// writersTable is where the writers of a scenario write.
const writersTable = "pgsqlms_writes"
