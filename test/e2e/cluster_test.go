//go:build lab

package e2e

import (
	"context"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pgsqlms/test/lab"
)

// testBound is what a test may take in all: several times what the longest one does on a loaded machine of two cores.
const testBound = 4 * time.Minute

// cluster is a lab in the hands of one test.
type cluster struct {
	*lab.Lab
	t      *testing.T
	ctx    context.Context
	before snapshot
	logs   map[string]int64 // how long each log was when the test began
}

// begin gives a test the shared cluster, ready.
func begin(t *testing.T) *cluster {
	t.Helper()
	ctx, cancel := context.WithTimeout(interrupted, testBound)
	t.Cleanup(cancel)
	c := &cluster{Lab: sharedLab(ctx, t), t: t, ctx: ctx, logs: map[string]int64{}}
	t.Cleanup(c.afterFailure)
	require.NoError(t, c.WaitWhole(ctx))
	c.markLogs()
	c.before = c.look()
	require.Empty(t, c.before.failures, "failed actions left over by an earlier test")
	return c
}

// afterFailure keeps the logs of a test that failed, and lets the next one begin with a new cluster.
func (c *cluster) afterFailure() {
	if !c.t.Failed() {
		return
	}
	c.collectLogs()
	if keep() {
		return
	}
	if err := takeDown(); err != nil {
		c.t.Log(err)
	}
}

// snapshot is the state of the cluster at one moment.
type snapshot struct {
	primary     string
	standbys    []string // the best promotion score first
	timeline    int
	started     map[string]string // when each node's PostgreSQL was started
	constraints []string
	failures    []string
	fencings    int
}

const startedSQL = "select pg_postmaster_start_time()"

// look takes a snapshot of a cluster that is ready.
func (c *cluster) look() snapshot {
	c.t.Helper()
	status, err := c.Status(c.ctx)
	require.NoError(c.t, err)
	s := snapshot{
		started: map[string]string{}, constraints: c.constraints(), failures: status.Failures, fencings: status.Fencings,
	}
	scores := map[string]int{}
	for _, n := range c.Nodes() {
		node := status.Nodes[n.Name]
		s.started[n.Name] = c.sql(n.Name, startedSQL)
		scores[n.Name], _ = strconv.Atoi(node.Score)
		if node.SQL == "primary" {
			s.primary = n.Name
			continue
		}
		s.standbys = append(s.standbys, n.Name)
	}
	slices.SortStableFunc(s.standbys, func(a, b string) int { return scores[b] - scores[a] })
	s.timeline = timeline(c.ctx, c.t, c.Lab, s.primary)
	return s
}

// timeline is the one that a primary writes. pg_control tells it only after the checkpoint that follows a promotion.
func timeline(ctx context.Context, t *testing.T, l *lab.Lab, primary string) int {
	t.Helper()
	file, err := l.SQL(ctx, primary, "select substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)")
	require.NoError(t, err)
	n, err := strconv.ParseInt(file, 16, 32)
	require.NoError(t, err)
	return int(n)
}
