//go:build lab

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"pgsqlms/test/lab"
	"pgsqlms/test/scenario"
)

// shownRejoin is of `pgsqlms rejoin --output json` what the tests look at.
type shownRejoin struct {
	Outcome, Found, Way, Used, Reason string
	Refused                           bool
	WhyNot                            string `json:"why_not_rewind"`
	Kept                              string `json:"old_data_kept"`
	HalfDone                          string `json:"half_done"`
	Removed                           bool   `json:"constraint_removed"`
	Lost                              uint64 `json:"would_be_lost_bytes"`
	Seconds                           float64
}

func (c *cluster) rejoin(on string, code int, flags ...string) (s shownRejoin) {
	c.t.Helper()
	result := c.try(on, append([]string{c.Agent(), "rejoin", "--output", "json"}, flags...)...)
	require.Equal(c.t, code, result.Code, "%s%s", result.Stdout, result.Stderr)
	require.NoError(c.t, json.Unmarshal([]byte(result.Stdout), &s), result.Stdout)
	c.t.Logf("rejoin of %s %v: %+v", on, flags, s)
	return s
}

// A primary that was cut off comes back diverged. The command waits for the new primary's checkpoint, which is held up here,
// and rewinds it, with a copy of the old data kept.
func TestRejoinRewindsAnOldPrimary(t *testing.T) {
	c := begin(t)
	cut := scenario.CutNetwork()
	var kept string
	cut.Inject = func(ctx context.Context, p *scenario.Play) error {
		for _, node := range c.before.standbys { // one of them is the next primary
			if err := c.SignalPostgres(ctx, node, "checkpointer", unix.SIGSTOP); err != nil {
				return err
			}
		}
		if err := c.Cut(ctx, p.Primary); err != nil {
			return err
		}
		// Fenced at once it might have written nothing by itself.
		_, err := c.SQL(ctx, p.Primary, "set synchronous_commit = local; create table alone as select generate_series(1, 1000) as n")
		return err
	}
	cut.Mend = func(ctx context.Context, p *scenario.Play) error {
		if err := c.Heal(ctx, p.Primary); err != nil {
			return err
		}
		if err := c.divergedOn(ctx, p.Primary); err != nil {
			return err
		}
		text := c.try(p.Primary, c.Agent(), "rejoin", "--dry-run")
		t.Log(text.Stdout)
		require.Zero(t, text.Code, text.Stderr)
		require.Contains(t, text.Stdout, "pg_rewind takes back in the copy")
		require.Contains(t, text.Stdout, "has not made its first checkpoint on timeline")
		out := c.rejoinAfter(p.Primary, "waits for", func() {
			for _, node := range c.before.standbys {
				require.NoError(t, c.SignalPostgres(ctx, node, "checkpointer", unix.SIGCONT))
			}
		})
		require.Contains(t, out, "pg_rewind makes the data follow")
		require.NotContains(t, out, "pg_basebackup copies")
		require.Contains(t, out, p.Primary+" streams from ")
		_, kept, _ = strings.Cut(out, "the old data are kept in ")
		kept = strings.Fields(kept)[0]
		return nil
	}
	result := c.play(cut)
	require.NotEqual(t, result.Before, result.After)
	require.NotEmpty(t, kept)
	c.keptDataOf(result.Before, kept)
	c.streamsWith(result.Before)
	c.end(outcome{primary: result.After, promotions: 1, fenced: []string{result.Before}, restarted: []string{result.Before}})
}

// watched is what a command has written so far.
type watched struct {
	mu   sync.Mutex
	text strings.Builder
}

func (w *watched) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(p)
}

func (w *watched) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}

// rejoinAfter runs the command, does something once it has said a text, and returns all that it has said.
func (c *cluster) rejoinAfter(node, text string, do func()) string {
	c.t.Helper()
	out := &watched{}
	ended := make(chan int, 1)
	go func() {
		result, err := c.Exec(c.ctx, node, lab.ExecOptions{Stdout: out, Stderr: out}, c.Agent(), "rejoin", "--yes")
		if err != nil {
			result.Code = -1
		}
		ended <- result.Code
	}()
	c.await("it says "+text, time.Minute, func() error {
		if !strings.Contains(out.String(), text) {
			return fmt.Errorf("it says: %s", out)
		}
		return nil
	})
	do()
	code := <-ended
	c.t.Log(out)
	require.Zero(c.t, code)
	return out.String()
}

// keptDataOf wants what was put aside to be data that were shut down, and removes them.
func (c *cluster) keptDataOf(node, kept string) {
	c.t.Helper()
	control := c.run(node, c.PGBin()+"/pg_controldata", "-D", kept)
	assert.Contains(c.t, control, "shut down")
	assert.True(c.t, strings.HasPrefix(kept, c.PGData()+".before-rejoin-"), kept)
	c.run(node, "rm", "-r", kept)
}

// streamsWith wants a node to stream under its own name, with its own configuration.
func (c *cluster) streamsWith(node string) {
	c.t.Helper()
	assert.Equal(c.t, node, c.sql(node, "show lab.node"))
	assert.Equal(c.t, "streaming", c.sql(node, "select status from pg_stat_wal_receiver"))
	left := c.run(node, "ls", filepath.Dir(c.PGData()))
	assert.Equal(c.t, filepath.Base(c.PGData())+"\n", left)
}

// Nothing is touched where nothing is wrong, and never on the primary.
func TestRejoinRefuses(t *testing.T) {
	c := begin(t)
	s := c.rejoin(c.before.standbys[0], 0, "--yes")
	assert.Equal(t, "nothing", s.Outcome)
	s = c.rejoin(c.before.primary, 1, "--yes")
	assert.Equal(t, "refused", s.Outcome)
	assert.Equal(t, 2, c.try(c.before.standbys[0], c.Agent(), "rejoin").Code, "nobody there to be asked")
	c.end(outcome{})
}

// A standby that somebody promoted by hand: Ctrl-C leaves all as it was; killed in the middle of a rewind in place, the
// data are not started, and the next rejoin makes a new copy.
func TestRejoinBrokenOff(t *testing.T) {
	c := begin(t)
	node := c.before.standbys[0]
	c.promoteByHand(node)
	inode := c.run(node, "stat", "-c", "%i", c.PGData())
	c.stallRewind(node)

	pid, ended := c.startRejoin(node, "--yes")
	c.run(node, "kill", "-INT", pid)
	assert.Equal(t, 3, (<-ended).Code)
	assert.Equal(t, c.before.constraints, c.constraints())
	assert.Equal(t, inode, c.run(node, "stat", "-c", "%i", c.PGData()), "the data directory is the old one")
	assert.NotZero(t, c.try(node, "test", "-e", c.PGData()+".pgsqlms-rejoin").Code)

	pid, ended = c.startRejoin(node, "--yes", "--discard-old")
	c.run(node, "kill", "-KILL", pid)
	assert.Equal(t, 137, (<-ended).Code)
	assert.NotZero(t, c.try(node, "test", "-e", c.PGData()).Code, "half-done data have not the data directory's name")
	assert.Len(t, c.constraints(), len(c.before.constraints)+1)
	c.run(node, "cibadmin", "--delete", "--xpath", "//rsc_location[@id='pgsqlms-rejoin-pgsqld-clone-on-"+node+"']")
	c.run(node, "crm_resource", "--cleanup", "-r", lab.Resource, "--node", node)
	c.await("the start is refused", 30*time.Second, func() error {
		return c.failed(c.ctx, "start_0 on "+node, "is under way, or was broken off")
	})
	c.unstallRewind(node)
	s := c.rejoin(node, 0, "--yes", "--checkpoint")
	assert.Equal(t, [2]string{"done", "clone"}, [2]string{s.Outcome, s.Used})
	assert.Contains(t, s.Found, "half-done")
	assert.Empty(t, s.Kept)
	c.streamsWith(node)
	c.end(outcome{restarted: []string{node}})
}

// What has diverged on the primary's own timeline pg_rewind cannot see.
func TestRejoinClones(t *testing.T) {
	c := begin(t)
	node := c.before.standbys[1]
	c.writeAlone(node)
	s := c.rejoin(node, 0, "--yes", "--checkpoint")
	assert.Equal(t, [3]string{"done", "clone", "clone"}, [3]string{s.Outcome, s.Way, s.Used})
	assert.Contains(t, s.WhyNot, "pg_rewind goes by the timelines")
	c.keptDataOf(node, s.Kept)
	c.streamsWith(node)
	c.end(outcome{restarted: []string{node}})
}

// A standby that is to stream by a slot which the primary has not: nothing is copied before there is one. Its own slots are
// named, as they go with the old data.
func TestRejoinBySlot(t *testing.T) {
	c := begin(t)
	node := c.before.standbys[0]
	c.sql(node, "alter system set primary_slot_name = '"+node+"'")
	c.sql(node, "select pg_create_physical_replication_slot('elsewhere', true)")
	c.promoteByHand(node)
	refused := c.try(node, c.Agent(), "rejoin", "--yes")
	require.Equal(t, 1, refused.Code, "%s%s", refused.Stdout, refused.Stderr)
	require.Contains(t, refused.Stdout, "no slot "+node+" on "+c.before.primary)
	create := "select pg_create_physical_replication_slot('" + node + "', true)"
	require.Contains(t, refused.Stdout, create)
	c.sql(c.before.primary, create)
	planned := c.try(node, c.Agent(), "rejoin", "--dry-run")
	require.Zero(t, planned.Code, "%s%s", planned.Stdout, planned.Stderr)
	require.Contains(t, planned.Stdout, "elsewhere")
	s := c.rejoin(node, 0, "--yes", "--checkpoint")
	assert.Equal(t, [2]string{"done", "rewind"}, [2]string{s.Outcome, s.Used})
	assert.Equal(t, "t", c.sql(c.before.primary, "select active from pg_replication_slots where slot_name = '"+node+"'"))
	assert.Equal(t, "0", c.sql(node, "select count(*) from pg_replication_slots"))
	c.keptDataOf(node, s.Kept)
	c.streamsWith(node)

	c.sql(node, "alter system reset primary_slot_name")
	c.sql(node, "select pg_reload_conf()")
	c.await("the slot is let go", time.Minute, func() error {
		_, err := c.SQL(c.ctx, c.before.primary, "select pg_drop_replication_slot('"+node+"')")
		return err
	})
	c.end(outcome{restarted: []string{node}})
}

// Data in several places, a tablespace and a pg_wal that is a link, cannot be copied with one directory: they are rewound
// where they are, and every part stays in its place.
func TestRejoinOfDataInSeveralPlaces(t *testing.T) {
	c := begin(t)
	node := c.before.standbys[0]
	for _, n := range c.Nodes() {
		c.run(n.Name, "install", "-d", "-o", "postgres", "-m", "0700", "/srv/space")
	}
	c.sql(c.before.primary, "create tablespace apart location '/srv/space'")
	c.sql(c.before.primary, "create table placed tablespace apart as select generate_series(1, 1000) as n")
	c.await("the standbys have it", time.Minute, func() error {
		for _, n := range c.before.standbys {
			if found, err := c.SQL(c.ctx, n, "select count(*) from placed"); err != nil || found != "1000" {
				return fmt.Errorf("%s: %s %w", n, found, err)
			}
		}
		return nil
	})
	wal := c.PGData() + "/pg_wal"
	c.banned(node, func() {
		c.run(node, "mv", wal, "/srv/wal")
		c.run(node, "ln", "-s", "/srv/wal", wal)
		require.NoError(t, c.PgCtl(c.ctx, node, "start"))
		require.NoError(t, c.PgCtl(c.ctx, node, "promote"))
		c.sql(node, "set synchronous_commit = local; update placed set n = -n; create table alone tablespace apart as select 1; checkpoint")
		require.NoError(t, c.PgCtl(c.ctx, node, "stop"))
	})

	refused := c.try(node, c.Agent(), "rejoin", "--yes")
	require.Equal(t, 1, refused.Code, "%s%s", refused.Stdout, refused.Stderr)
	require.Contains(t, refused.Stdout, "pg_wal is a link to /srv/wal")
	require.Contains(t, refused.Stdout, "pgsqlms rejoin --discard-old")
	s := c.rejoin(node, 0, "--yes", "--checkpoint", "--discard-old")
	assert.Equal(t, [3]string{"done", "rewind", "rewind"}, [3]string{s.Outcome, s.Way, s.Used})
	c.streamsWith(node)
	assert.Equal(t, "/srv/wal\n", c.run(node, "readlink", wal))
	assert.Equal(t, "1000|500500", c.sql(node, "select count(*), sum(n) from placed"))
	assert.Equal(t, "/srv/space", c.sql(node, "select pg_tablespace_location(oid) from pg_tablespace where spcname = 'apart'"))
	assert.Equal(t, "f", c.sql(node, "select to_regclass('alone') is not null"))

	refused = c.try(node, c.Agent(), "rejoin", "--yes", "--clone")
	require.Equal(t, 1, refused.Code, "%s%s", refused.Stdout, refused.Stderr)
	require.Contains(t, refused.Stdout, "the primary has 1 tablespace")
	c.streamsWith(node)

	c.sql(c.before.primary, "drop table placed")
	c.sql(c.before.primary, "drop tablespace apart")
	c.run(c.before.primary, "crm_standby", "-N", node, "-v", "on")
	c.await("stopped", 60*time.Second, func() error { return c.hasRole(c.ctx, node, "") })
	c.run(node, "rm", wal)
	c.run(node, "mv", "/srv/wal", wal)
	c.run(c.before.primary, "crm_standby", "-N", node, "-D")
	c.end(outcome{restarted: []string{node}})
}

// A standby whose WAL the primary has removed runs, and does not stream. Pacemaker stops it for the repair.
func TestRejoinOfALostStandby(t *testing.T) {
	c := begin(t)
	node, other := c.before.standbys[0], c.before.standbys[1]
	c.sql(c.before.primary, "alter system set wal_keep_size = 0")
	c.sql(c.before.primary, "select pg_reload_conf()")
	c.run(other, "crm_standby", "-N", node, "-v", "on")
	c.await("stopped", 60*time.Second, func() error { return c.hasRole(c.ctx, node, "") })
	for range 3 {
		end := c.sql(c.before.primary, "select pg_switch_wal()")
		c.await("the other standby has it, before it is removed", time.Minute, func() error {
			has := c.sql(c.before.primary, fmt.Sprintf("select count(*) from pg_stat_replication where application_name = '%s' and flush_lsn >= '%s'", other, end))
			if has != "1" {
				return fmt.Errorf("%s has not got it up to %s", other, end)
			}
			return nil
		})
		c.sql(c.before.primary, "checkpoint")
	}
	c.run(other, "crm_standby", "-N", node, "-D")
	c.await("running and lost", time.Minute, func() error {
		result, err := c.Exec(c.ctx, node, lab.ExecOptions{}, c.Agent(), "rejoin", "--dry-run", "--output", "json")
		if err == nil && (result.Code != 0 || !strings.Contains(result.Stdout, `"found": "lost: `)) {
			err = fmt.Errorf("rejoin --dry-run ends with %d: %s%s", result.Code, result.Stdout, result.Stderr)
		}
		return err
	})
	c.await("it runs", time.Minute, func() error { return c.hasRole(c.ctx, node, "Unpromoted") })
	// A backup begins with a new segment and a checkpoint: the other standby would be lost, too, if it were slow.
	c.sql(c.before.primary, "alter system reset wal_keep_size")
	c.sql(c.before.primary, "select pg_reload_conf()")
	s := c.rejoin(node, 0, "--yes", "--checkpoint")
	assert.Equal(t, [2]string{"done", "clone"}, [2]string{s.Outcome, s.Used})
	assert.Contains(t, s.Found, "has already been removed")
	c.keptDataOf(node, s.Kept)
	c.streamsWith(node)

	// Killed while it removed what was not to be kept: only that is done. Until then the start is refused.
	c.run(other, "crm_standby", "-N", node, "-v", "on")
	c.await("stopped", 60*time.Second, func() error { return c.hasRole(c.ctx, node, "") })
	c.run(node, "mkdir", "-p", c.PGData()+".pgsqlms-rejoin/old")
	c.run(node, "chown", "-R", "postgres", c.PGData()+".pgsqlms-rejoin")
	c.run(other, "crm_standby", "-N", node, "-D")
	c.await("the start is refused", 30*time.Second, func() error {
		return c.failed(c.ctx, "start_0 on "+node, "is under way, or was broken off")
	})
	s = c.rejoin(node, 0, "--yes")
	assert.Equal(t, [3]string{"done", "sweep", ""}, [3]string{s.Outcome, s.Way, s.Used})
	c.streamsWith(node)
	c.end(outcome{restarted: []string{node}})
}

// banned does something to a node's data while Pacemaker leaves them alone, and then lets Pacemaker find that they have
// diverged.
func (c *cluster) banned(node string, work func()) {
	c.t.Helper()
	c.run(node, "crm_resource", "--ban", "-r", lab.Resource+"-clone", "--node", node)
	c.await("stopped", 60*time.Second, func() error { return c.hasRole(c.ctx, node, "") })
	work()
	c.run(node, "crm_resource", "--clear", "-r", lab.Resource+"-clone", "--node", node)
	require.NoError(c.t, c.divergedOn(c.ctx, node))
}

// divergedOn waits until a start or a monitor has found a node's instance diverged, and that is stopped.
func (c *cluster) divergedOn(ctx context.Context, node string) error {
	err := awaitErr(ctx, node+" found diverged", 2*time.Minute, func() error {
		return c.failed(ctx, " on "+node, "diverged: left timeline")
	})
	if err != nil {
		return err
	}
	return awaitErr(ctx, "stopped", 30*time.Second, func() error { return c.hasRole(ctx, node, "") })
}

func (c *cluster) promoteByHand(node string) {
	c.t.Helper()
	c.banned(node, func() {
		require.NoError(c.t, c.PgCtl(c.ctx, node, "start"))
		require.NoError(c.t, c.PgCtl(c.ctx, node, "promote"))
		c.sql(node, "set synchronous_commit = local; create table alone as select generate_series(1, 1000) as n; checkpoint")
		require.NoError(c.t, c.PgCtl(c.ctx, node, "stop"))
	})
}

// writeAlone makes a standby write on the timeline that it has.
func (c *cluster) writeAlone(node string) {
	c.t.Helper()
	c.banned(node, func() {
		c.run(node, "rm", c.PGData()+"/standby.signal")
		require.NoError(c.t, c.PgCtl(c.ctx, node, "start"))
		c.sql(node, "set synchronous_commit = local; create table alone as select generate_series(1, 1000) as n; checkpoint")
		require.NoError(c.t, c.PgCtl(c.ctx, node, "stop"))
	})
}

// stallRewind puts a program in pg_rewind's place that does half of nothing, and stands still.
func (c *cluster) stallRewind(node string) {
	c.t.Helper()
	rewind := c.PGBin() + "/pg_rewind"
	c.run(node, "mv", rewind, rewind+".real")
	script := fmt.Sprintf("#!/bin/sh\ncase \"$*\" in *--dry-run*) exec %s.real \"$@\";; esac\ntouch /tmp/rewinding; exec sleep 1000\n", rewind)
	require.NoError(c.t, c.WriteFile(node, rewind, []byte(script), 0o755, "root"))
}

func (c *cluster) unstallRewind(node string) {
	c.t.Helper()
	rewind := c.PGBin() + "/pg_rewind"
	c.run(node, "mv", rewind+".real", rewind)
}

// startRejoin runs the command and returns once pg_rewind is at work.
func (c *cluster) startRejoin(node string, flags ...string) (pid string, ended <-chan lab.Result) {
	c.t.Helper()
	c.run(node, "rm", "-f", "/tmp/rewinding", "/tmp/rejoin.pid")
	done := make(chan lab.Result, 1)
	go func() {
		argv := append([]string{"/bin/sh", "-c", `echo $$ > /tmp/rejoin.pid; exec "$@"`, "sh", c.Agent(), "rejoin"}, flags...)
		result, err := c.Exec(c.ctx, node, lab.ExecOptions{}, argv...)
		c.t.Logf("%v: %s%s%v", flags, result.Stdout, result.Stderr, err)
		done <- result
	}()
	c.await("pg_rewind at work", time.Minute, func() error {
		_, err := c.Run(c.ctx, node, "test", "-e", "/tmp/rewinding")
		return err
	})
	return strings.TrimSpace(c.run(node, "cat", "/tmp/rejoin.pid")), done
}
