//go:build lab

package packages

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pgsqlms/test/lab"
	"pgsqlms/test/writer"
)

// The monitors' intervals are shorter than recommended, so that some fall into each step. Their timeout is longer: PAF's
// takes its time on a busy machine, which is not what is tested here.
const (
	promotedInterval   = 2 * time.Second
	unpromotedInterval = 3 * time.Second
	monitorTimeout     = 30 * time.Second
)

// gapBound is what no interval between two writes may reach: less than the recommended 15 s between two monitors of the
// primary, and more than a machine takes that is busy with other things. That PostgreSQL ran on is seen from its
// processes; this is for an address or a role that went away for a while.
const gapBound = 10 * time.Second

// cluster is a lab that began with PAF's package, and a client that writes all the time.
type cluster struct {
	*lab.Lab
	t   *testing.T
	ctx context.Context
}

func newCluster(t *testing.T) cluster {
	ctx, cancel := lab.UntilInterrupted(context.Background())
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, 4*time.Minute)
	t.Cleanup(cancel)
	ops := lab.RecommendedOps(lab.AgentPAF)
	for i := range ops {
		switch ops[i].Role {
		case "Promoted":
			ops[i].Interval, ops[i].Timeout = promotedInterval, monitorTimeout
		case "Unpromoted":
			ops[i].Interval, ops[i].Timeout = unpromotedInterval, monitorTimeout
		}
	}
	name := os.Getenv("PGSQLMS_LAB")
	if name == "" {
		name = fmt.Sprintf("p%d", os.Getpid()%1_000_000)
	}
	l, err := lab.Up(ctx, lab.Config{Name: name, Agent: lab.AgentPAF, Ops: ops, NoSync: true}, nil)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if t.Failed() {
			dir, err := os.MkdirTemp("", "pgsqlms-packages-")
			t.Log("logs:", dir, err, l.CollectLogs(dir))
		}
		require.NoError(t, l.Down(ctx))
	})
	return cluster{l, t, ctx}
}

// sh runs a script on a node.
func (c cluster) sh(node, script string) string {
	c.t.Helper()
	out, err := c.Run(c.ctx, node, "bash", "-ec", script)
	require.NoError(c.t, err)
	return out
}

// everywhere runs a script on one node after the other.
func (c cluster) everywhere(script string) {
	c.t.Helper()
	for _, n := range c.Nodes() {
		c.sh(n.Name, script)
	}
}

// put writes a file to the home of root on every node.
func (c cluster) put(name string, text []byte) {
	c.t.Helper()
	for _, n := range c.Nodes() {
		require.NoError(c.t, c.WriteFile(n.Name, "/root/"+name, text, 0o644, ""))
	}
}

func (c cluster) maintenance(on bool) {
	c.t.Helper()
	c.sh("n1", fmt.Sprintf("crm_attribute --type crm_config --name maintenance-mode --update %t; crm_resource --wait", on))
}

// look says what an exchange of the package must not change.
func (c cluster) look() string {
	c.t.Helper()
	require.NoError(c.t, c.WaitWhole(c.ctx))
	s, err := c.Status(c.ctx)
	require.NoError(c.t, err)
	var b strings.Builder
	for _, n := range c.Nodes() {
		pid, err := c.ReadFile(n.Name, c.PGData()+"/postmaster.pid")
		require.NoError(c.t, err)
		started := strings.Join(strings.Split(string(pid), "\n")[:3], " ")
		fmt.Fprintf(&b, "%s is %s, %s, postmaster %s\n", n.Name, s.Nodes[n.Name].Role, s.Nodes[n.Name].SQL, started)
	}
	fmt.Fprintf(&b, "failed actions: %v, fencings: %d\n", s.Failures, s.Fencings)
	return b.String()
}

// agents says which agent the nodes have: the program of each version has a size of its own.
func (c cluster) agents() []string {
	c.t.Helper()
	var sizes []string
	for _, n := range c.Nodes() {
		sizes = append(sizes, strings.TrimSpace(c.sh(n.Name, "stat -c %s "+c.Agent())))
	}
	return sizes
}

// monitored lets every node be monitored at least once more.
func (c cluster) monitored() { time.Sleep(unpromotedInterval + time.Second) }

// From PAF to the package, to a newer package, and back to PAF, as docs/install.md says, under a client that writes.
// PostgreSQL runs on through all of it, and the client notices nothing.
func TestPackagesAreExchangedUnderARunningCluster(t *testing.T) {
	c := newCluster(t)
	ours, err := os.ReadFile(deb(t))
	require.NoError(t, err)
	c.put("ours.deb", ours)
	c.sh("n1", "cd /root; "+packPAF+"newer ours.deb newer.deb")
	for _, name := range []string{"newer.deb", "paf.deb"} {
		made, err := c.ReadFile("n1", "/root/"+name)
		require.NoError(t, err)
		c.put(name, made)
	}
	before := c.look()
	require.Contains(t, before, "failed actions: [], fencings: 0")

	// With a session that is refused, or ends, the writer would show a gap.
	w, err := writer.Start(writer.Config{Address: c.VIP() + ":5432", Dial: c.Dialer(lab.Client), User: "postgres"})
	require.NoError(t, err)
	_, err = w.AwaitAck(c.ctx, time.Now())
	require.NoError(t, err)
	start := w.History().At(time.Now())

	step := func(what string, do func()) {
		t.Helper()
		begun, old := time.Now(), c.agents()
		do()
		c.monitored()
		require.Equal(t, before, c.look(), what)
		require.NotEqual(t, old, c.agents(), what)
		t.Logf("%s: %.1f s, the longest gap between two writes so far %v",
			what, time.Since(begun).Seconds(), writer.WriteGap(w.History(), start).Length().Round(time.Millisecond))
	}
	step("from PAF", func() {
		c.maintenance(true)
		c.everywhere("dpkg -i /root/ours.deb")
		c.maintenance(false)
	})
	step("upgrade", func() { c.everywhere("dpkg -i /root/newer.deb") })
	// Nothing keeps monitors from a node that has no agent but the package itself.
	c.everywhere("! dpkg -r pgsqlms 2>/root/refused; grep 'pgsqlms: not removed' /root/refused; test -x " + c.Agent())
	c.monitored()
	require.Equal(t, before, c.look(), "a removal that was refused")
	step("back to PAF", func() {
		c.maintenance(true)
		c.everywhere("dpkg -r pgsqlms && dpkg -i /root/paf.deb")
		c.maintenance(false)
	})

	gap := writer.WriteGap(w.Stop(), start)
	require.Less(t, gap.Length(), gapBound, "writes stopped")
}
