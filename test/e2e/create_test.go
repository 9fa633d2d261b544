//go:build lab

package e2e

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"pgsqlms/test/lab"
)

// The commands of the README's quick start, word for word.
const (
	withPcs = `
    pcs cluster cib pg.xml
    pcs -f pg.xml resource defaults update migration-threshold=5 resource-stickiness=10
    pcs -f pg.xml resource create pgsqld ocf:heartbeat:pgsqlms \
        bindir=/usr/lib/postgresql/15/bin pgdata=/var/lib/postgresql/15/main pghost=/var/run/postgresql \
        start_opts="-c config_file=/etc/postgresql/15/main/postgresql.conf" \
        op start timeout=60s op stop timeout=60s op promote timeout=30s op demote timeout=120s \
        op monitor interval=1s timeout=10s role=Promoted op monitor interval=2s timeout=10s role=Unpromoted \
        op notify timeout=60s promotable
    pcs -f pg.xml resource meta pgsqld-clone notify=true
    pcs -f pg.xml resource create pgsql-ip ocf:heartbeat:IPaddr2 ip=192.0.2.10 cidr_netmask=24 op monitor interval=10s
    pcs -f pg.xml constraint colocation add pgsql-ip with Promoted pgsqld-clone INFINITY
    pcs -f pg.xml constraint order promote pgsqld-clone then start pgsql-ip symmetrical=false kind=Mandatory
    pcs -f pg.xml constraint order demote pgsqld-clone then stop pgsql-ip symmetrical=false kind=Mandatory
    pcs cluster cib-push pg.xml
`
	withCrmsh = `
    primitive pgsqld ocf:heartbeat:pgsqlms \
        params bindir=/usr/lib/postgresql/15/bin pgdata=/var/lib/postgresql/15/main pghost=/var/run/postgresql \
               start_opts="-c config_file=/etc/postgresql/15/main/postgresql.conf" \
        op start timeout=60s interval=0 op stop timeout=60s interval=0 \
        op promote timeout=30s interval=0 op demote timeout=120s interval=0 \
        op monitor interval=1s timeout=10s role=Promoted op monitor interval=2s timeout=10s role=Unpromoted \
        op notify timeout=60s interval=0
    clone pgsqld-clone pgsqld meta promotable=true notify=true
    primitive pgsql-ip IPaddr2 params ip=192.0.2.10 cidr_netmask=24 op monitor interval=10s
    colocation ip-with-primary inf: pgsql-ip pgsqld-clone:Promoted
    order promote-then-ip Mandatory: pgsqld-clone:promote pgsql-ip:start symmetrical=false
    order demote-then-ip Mandatory: pgsqld-clone:demote pgsql-ip:stop symmetrical=false
    rsc_defaults migration-threshold=5 resource-stickiness=10
    property stonith-enabled=true
    commit
`
)

// The resources that the README's commands create with pcs and with crmsh become ready, in a cluster that has a fence
// device and databases and nothing else.
func TestResourcesCreatedAsInTheReadme(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	c := beginBare(t, 3)
	t.Run("pcs", func(t *testing.T) {
		require.Contains(t, string(readme), strings.TrimRight(withPcs, "\n"))
		c.shell(t, c.here(withPcs))
		c.assertAsInTheReadme(t)
		c.shell(t, "pcs resource delete "+lab.VIPResource+"\npcs resource delete pgsqld")
	})
	t.Run("crmsh", func(t *testing.T) {
		require.Contains(t, string(readme), strings.TrimRight(withCrmsh, "\n"))
		c.shell(t, "crm configure <<'END'\n"+c.here(withCrmsh)+"END\n")
		c.assertAsInTheReadme(t)
	})
}

// here puts this lab's names for the README's.
func (c *cluster) here(commands string) string {
	return strings.NewReplacer("pgsql-ip", lab.VIPResource, "192.0.2.10", c.VIP()).Replace(commands)
}

// shell runs a script on a node. The script fails the test when a command in it does.
func (c *cluster) shell(t *testing.T, script string) {
	t.Helper()
	result, err := c.Exec(c.ctx, c.any(), lab.ExecOptions{Dir: "/root"}, "/bin/sh", "-exc", script)
	require.NoError(t, err)
	require.Zero(t, result.Code, "%s%s", result.Stdout, result.Stderr)
}

// assertAsInTheReadme wants what the README says that crm_mon shows.
func (c *cluster) assertAsInTheReadme(t *testing.T) {
	t.Helper()
	require.NoError(t, c.WaitWhole(c.ctx))
	status, err := c.Status(c.ctx)
	require.NoError(t, err)
	var scores []string
	for _, node := range status.Nodes {
		scores = append(scores, node.Score)
	}
	assert.ElementsMatch(t, []string{"1001", "1000", "990"}, scores)
	assert.Empty(t, status.Failures)
	assert.Zero(t, status.Fencings)
}

// beginBare gives a test a cluster of its own that has a fence device and databases, but no resource.
func beginBare(t *testing.T, nodes int) *cluster {
	t.Helper()
	ctx, cancel := context.WithTimeout(interrupted, testBound)
	t.Cleanup(cancel)
	l, err := lab.Up(ctx, lab.Config{
		Name: labName() + "b", Nodes: nodes, Agent: agentUnderTest(t), NoResources: true, Sync: nodes > 1,
	}, nil)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, l.Down(context.WithoutCancel(ctx))) })
	c := &cluster{Lab: l, t: t, ctx: ctx, logs: map[string]int64{}}
	t.Cleanup(func() {
		if t.Failed() {
			c.collectLogs()
		}
	})
	return c
}
