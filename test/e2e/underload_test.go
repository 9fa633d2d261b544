//go:build lab

package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"pgsqlms/test/lab"
)

// A healthy primary stays what it is, and nothing is restarted, while its role has no time for a statement, queries of the
// monitor are cancelled, every commit waits for standbys that hear nothing, strangers replicate under names that mean
// something elsewhere, the directories for temporary files are full, and the environment is made for other programs. Then
// while every connection slot is taken, those reserved for superusers and for WAL senders as well; and while attrd hangs.
func TestHealthyPrimaryUnderLoad(t *testing.T) {
	c := begin(t)
	primary := c.before.primary
	ask := c.session(primary)
	strangers := c.replicateAs(primary, "(", ".*", "n1", "n2", "n3")
	c.monitorsMeetSlowness(primary, ask)
	c.monitorsMeetNoConnection(primary)
	c.monitorMeetsHangingAttrd(primary)
	closeAll(c.ctx, strangers...)
	c.end(outcome{})
}

// monitorsMeetSlowness uses sessions from before there is no time for statements.
func (c *cluster) monitorsMeetSlowness(primary string, ask *pgconn.PgConn) {
	c.t.Helper()
	writer, storm := c.session(primary), c.session(primary)
	c.exec(ask, "set synchronous_commit = local")
	c.exec(ask, "create table load (n int); alter role postgres set statement_timeout = 1")
	for _, standby := range c.before.standbys {
		require.NoError(c.t, c.BlockPort(c.ctx, primary, standby, pgPort))
	}
	c.fillTemporary(primary)
	written := inBackground(c.ctx, writer, "insert into load values (1)")
	cancelled := inBackground(c.ctx, storm, cancelStorm)
	for range 5 {
		c.staysPrimary(primary, hostile...)
	}
	c.monitorsSeen(ask, 3)
	require.NoError(c.t, <-cancelled)
	require.Empty(c.t, written, "the commit waits")

	c.emptyTemporary(primary)
	require.NoError(c.t, c.Unblock(c.ctx, primary))
	assert.NoError(c.t, <-written)
	c.exec(ask, "alter role postgres reset statement_timeout; drop table load")
}

func (c *cluster) monitorsMeetNoConnection(primary string) {
	c.t.Helper()
	const refused = "too many clients already"
	all := c.takeEverySlot(primary)
	before := c.count(primary, logPostgres, refused)
	result := c.staysPrimary(primary)
	assert.Contains(c.t, result.Stderr, "its role is taken from pg_control")
	c.await("monitors that get no connection", 4*promotedInterval, func() error {
		if n := c.count(primary, logPostgres, refused) - before; n < 3 { // the first is the one from here
			return fmt.Errorf("%d refused", n)
		}
		return nil
	})
	closeAll(c.ctx, all...)
}

func (c *cluster) monitorMeetsHangingAttrd(primary string) {
	c.t.Helper()
	pid := strings.TrimSpace(c.run(primary, "pidof", "pacemaker-attrd"))
	c.run(primary, "kill", "-STOP", pid)
	began := time.Now()
	result := c.staysPrimary(primary)
	assert.Less(c.t, time.Since(began), 2*time.Second+busy)
	assert.Contains(c.t, result.Stderr, "the promotion scores could not be brought up to date")
	c.run(primary, "kill", "-CONT", pid)
}

// busy is what a loaded machine may add to the time that is allowed.
const busy = time.Second

// hostile is an environment made for psql, libpq and shells.
var hostile = []string{
	"PGOPTIONS=-c statement_timeout=1", "PGSERVICE=nosuch", "PGSERVICEFILE=/nonexistent", "PGPASSFILE=/nonexistent",
	"PGUSER=nobody", "PGHOST=192.0.2.1", "PGPORT=1", "PGDATABASE=nosuch", "PGSSLMODE=verify-full", "PGCONNECT_TIMEOUT=x",
	"LANG=fr_FR.UTF-8", "LC_ALL=fr_FR.UTF-8", "TZ=Mars/Olympus", "IFS=x", "BASH_ENV=/nonexistent", "TMPDIR=/nonexistent",
}

// staysPrimary runs the agent's monitor, with a memory of its own so that it has to ask the cluster, and wants it to find
// the primary and to write no score but those of standbys that are away.
func (c *cluster) staysPrimary(node string, environment ...string) lab.Result {
	c.t.Helper()
	env := append(environment, c.monitorEnv(node, "Promoted")...)
	env = append(env, variables("OCF_RESKEY_", c.ResourceParams())...)
	env = append(env, "HA_RSCTMP=/run/pgsqlms-underload")
	c.run(node, "rm", "-rf", "/run/pgsqlms-underload")
	result, err := c.Exec(c.ctx, node, lab.ExecOptions{Env: env}, agentFile, "monitor")
	require.NoError(c.t, err)
	require.Equal(c.t, ocfRunningPromoted, result.Code, result.Stderr)
	require.NotContains(c.t, result.Stderr, "ocf-exit-reason")
	return result
}

func (c *cluster) exec(conn *pgconn.PgConn, sql string) {
	c.t.Helper()
	require.NoError(c.t, conn.Exec(c.ctx, sql).Close())
}

// inBackground tells how a statement ended once it has.
func inBackground(ctx context.Context, conn *pgconn.PgConn, sql string) <-chan error {
	done := make(chan error, 1)
	go func() { done <- conn.Exec(ctx, sql).Close() }()
	return done
}

// cancelStorm cancels whatever the agent asks, for some seconds.
const cancelStorm = `
do $$ begin
  while clock_timestamp() < now() + interval '6 s' loop
    perform pg_cancel_backend(pid) from pg_stat_activity where application_name = 'pgsqlms';
    perform pg_stat_clear_snapshot();
  end loop;
end $$`

// temporary are the directories that are made full: for temporary files, and for what the agent remembers.
var temporary = []string{"/tmp", "/run/resource-agents"}

func (c *cluster) fillTemporary(node string) {
	c.t.Helper()
	for _, dir := range temporary {
		c.run(node, "mount", "-t", "tmpfs", "-o", "size=4k", "none", dir)
		full := c.try(node, "dd", "if=/dev/zero", "of="+dir+"/full", "bs=1k")
		require.Contains(c.t, full.Stderr, "No space left on device")
	}
}

func (c *cluster) emptyTemporary(node string) {
	c.t.Helper()
	for _, dir := range temporary {
		c.run(node, "umount", "--lazy", dir)
	}
}

// replicateAs connects for replication under each name. The connections stay in state startup.
func (c *cluster) replicateAs(node string, names ...string) (open []*pgconn.PgConn) {
	c.t.Helper()
	for _, name := range names {
		conn, err := c.connectAs(node, "replicator", map[string]string{"application_name": name, "replication": "true"})
		require.NoError(c.t, err)
		open = append(open, conn)
	}
	return open
}

// connectAs connects from the machine beside the nodes.
func (c *cluster) connectAs(node, role string, parameters map[string]string) (*pgconn.PgConn, error) {
	config, err := pgconn.ParseConfig(c.DSN(node))
	if err != nil {
		return nil, err
	}
	config.User, config.DialFunc = role, c.Dialer(lab.Client)
	for name, value := range parameters {
		config.RuntimeParams[name] = value
	}
	return pgconn.ConnectConfig(c.ctx, config)
}

// takeEverySlot connects until nobody gets a connection any more, for replication or as a superuser.
func (c *cluster) takeEverySlot(node string) (open []*pgconn.PgConn) {
	c.t.Helper()
	const most = 200
	for role, parameters := range map[string]map[string]string{"replicator": {"replication": "true"}, "postgres": nil} {
		for range most {
			conn, err := c.connectAs(node, role, parameters)
			var server *pgconn.PgError
			if errors.As(err, &server) && server.Code == "53300" {
				break
			}
			require.NoError(c.t, err)
			open = append(open, conn)
		}
	}
	require.Less(c.t, len(open), most)
	return open
}

func closeAll(ctx context.Context, open ...*pgconn.PgConn) {
	for _, conn := range open {
		_ = conn.Close(ctx)
	}
}

// A primary that hangs, its postmaster stopped by a signal, is noticed by a monitor that says so before Pacemaker kills it,
// and is recovered where it is.
func TestPrimaryHangs(t *testing.T) {
	c := begin(t)
	primary := c.before.primary
	require.NoError(t, c.SignalPostgres(c.ctx, primary, "", unix.SIGSTOP))
	c.await("another start", time.Minute, func() error {
		started, err := c.SQL(c.ctx, primary, startedSQL)
		if err == nil && started == c.before.started[primary] {
			err = errors.New("it is the same")
		}
		return err
	})
	const said = "it is stopped by a signal"
	assert.NotZero(t, c.count(primary, logPacemaker, said))
	for _, killed := range []string{"monitor process (PID", "Timed Out after"} {
		assert.Zero(t, c.count(primary, logPacemaker, killed), "a monitor that Pacemaker killed")
	}
	c.end(outcome{
		promotions: 1,
		restarted:  []string{primary},
		failures:   []string{`monitor.* on ` + primary + `: .*does not answer .*` + said},
	})
}
