//go:build lab

package e2e

import (
	"context"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The agent's monitor, with the environment that Pacemaker gives it, tells every node's role, and says nothing else.
func TestMonitorOfAHealthyClusterTellsTheRoles(t *testing.T) {
	c := begin(t)
	result := c.monitor(c.before.primary, "Promoted")
	assert.Equal(t, ocfRunningPromoted, result.Code)
	assert.Empty(t, result.Stdout+result.Stderr)
	for _, standby := range c.before.standbys {
		result := c.monitor(standby, "Unpromoted")
		assert.Equal(t, ocfSuccess, result.Code)
		assert.Empty(t, result.Stdout+result.Stderr)
	}
	c.end(outcome{})
}

// monitorsRun waits until Pacemaker has monitored a node's instance n times more.
func (c *cluster) monitorsRun(node string, n int) {
	c.t.Helper()
	c.monitorsSeen(c.session(node), n)
}

// monitorsSeen is monitorsRun over a session that is there: monitors are seen in the database's count of sessions, and the
// asking does not count, for it is one session all the time.
func (c *cluster) monitorsSeen(ask *pgconn.PgConn, n int) {
	c.t.Helper()
	sessions := func() int {
		result := ask.ExecParams(c.ctx, "select sessions from pg_stat_database where datname = current_database()", nil, nil, nil, nil).Read()
		require.NoError(c.t, result.Err)
		count, err := strconv.Atoi(string(result.Rows[0][0]))
		require.NoError(c.t, err)
		return count
	}
	first := sessions()
	c.await("monitors", time.Duration(n+2)*unpromotedInterval, func() error {
		if seen := sessions() - first; seen < n {
			return fmt.Errorf("%d of %d", seen, n)
		}
		return nil
	})
}

// session is a connection to a node's database that lasts as long as the test.
func (c *cluster) session(node string) *pgconn.PgConn {
	c.t.Helper()
	conn, err := c.connect(c.ctx, node)
	require.NoError(c.t, err)
	return conn
}

func (c *cluster) connect(ctx context.Context, node string) (*pgconn.PgConn, error) {
	config, err := pgconn.ParseConfig(c.DSN(node))
	if err != nil {
		return nil, err
	}
	config.DialFunc = c.Dialer(node)
	conn, err := pgconn.ConnectConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	c.t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(ctx)) })
	return conn, nil
}
