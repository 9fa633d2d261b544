package crm

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func cibOf(t *testing.T, name string) CIB {
	t.Helper()
	c, err := ParseCIB(fromFile(t, name))
	require.NoError(t, err)
	return c
}

func TestParseCIBOfAHealthyCluster(t *testing.T) {
	c := cibOf(t, "healthy.cib.xml")
	require.Equal(t, []string{"n1", "n2", "n3"}, c.NodeNames)
	require.True(t, c.Quorum)
	require.True(t, c.Fencing())
	require.Equal(t, "cli", c.Properties["cluster-name"])
	require.Equal(t, "serial=1 timeline=2 node=n1 from=1@0/1742110 sync=n1:1:n2,n3", c.Record("pgsqld"))
	require.Empty(t, c.Record("other"))
	require.Len(t, c.Resources, 1)
	r, found := c.Resource("pgsqld-clone")
	require.True(t, found)
	require.Equal(t, "pgsqld", r.Name)
	require.True(t, r.Promotable())
	require.Equal(t, map[string]string{
		"bindir": "/usr/lib/postgresql/15/bin", "pgdata": "/var/lib/postgresql/15/main", "pghost": "/var/run/postgresql",
		"start_opts": "-c config_file=/etc/postgresql/15/main/postgresql.conf",
	}, r.Params)
	require.Equal(t, "true", r.Meta["notify"])
	require.Contains(t, r.Ops, Op{Name: "monitor", Interval: "15s", Timeout: "10s", Role: RolePromoted,
		Own: map[string]string{"interval": "15s", "timeout": "10s", "role": "Promoted"}})
	for node, want := range map[string]int{"n1": 1001, "n2": 1000, "n3": 990} {
		score, ok := c.Score(node, "pgsqld")
		require.True(t, ok)
		require.Equal(t, want, score)
	}
	_, ok := c.Score("n4", "pgsqld")
	require.False(t, ok)
	promote, found := c.Last("pgsqld", "n1", "promote")
	require.True(t, found)
	require.Equal(t, Operation{Node: "n1", Resource: "pgsqld", Task: "promote", Done: true, At: time.Unix(1795269808, 0)}, promote)
	_, found = c.Last("pgsqld", "n2", "promote")
	require.False(t, found)
	require.Empty(t, c.LocationsOf(r))
}

// Remote nodes and guests have an entry once they have an attribute, and run no PostgreSQL.
func TestNamesOfTheClustersOwnNodes(t *testing.T) {
	c, err := ParseCIB(`<cib><configuration><nodes><node id="1" uname="n1"/><node id="2" uname="n2" type="member"/>
		<node id="far" uname="far" type="remote"><instance_attributes id="f"><nvpair id="a" name="rack" value="7"/></instance_attributes></node></nodes></configuration></cib>`)
	require.NoError(t, err)
	require.Equal(t, []string{"n1", "n2"}, c.NodeNames)
	require.Equal(t, "far", c.NodeOfID("far"))
	rack, _ := c.Attribute("far", "rack")
	require.Equal(t, "7", rack)
}

func TestParseCIBOfABan(t *testing.T) {
	c := cibOf(t, "ban.cib.xml")
	r, _ := c.Resource("pgsqld")
	require.Equal(t, []Location{{
		ID: "cli-ban-pgsqld-clone-on-n3", Resource: "pgsqld-clone", Node: "n3", Score: -Infinity, Role: RoleStarted,
	}}, c.LocationsOf(r))
}

// What a node keeps on its disk has no state.
func TestCIBOnDisk(t *testing.T) {
	c, err := CIBOnDisk("testdata/disk.cib.xml")
	require.NoError(t, err)
	require.Len(t, c.Resources, 1)
	require.NotEmpty(t, c.Record("pgsqld"))
	_, ok := c.Score("n1", "pgsqld")
	require.False(t, ok)

	dir := t.TempDir()
	_, err = CIBOnDisk(filepath.Join(dir, "none"))
	require.ErrorIs(t, err, os.ErrNotExist)
	link := filepath.Join(dir, "link")
	absolute, err := filepath.Abs("testdata/disk.cib.xml")
	require.NoError(t, err)
	require.NoError(t, os.Symlink(absolute, link))
	_, err = CIBOnDisk(link)
	require.Error(t, err, "a link in its place leads root anywhere")
	_, err = CIBOnDisk(dir)
	require.ErrorContains(t, err, "not a regular file")
}

// Templates, sets by reference, sets by rule, two sets, the element of old releases.
func TestResourcesInOtherForms(t *testing.T) {
	c, err := ParseCIB(`<cib><configuration>
		<crm_config><cluster_property_set id="a"><nvpair name="stonith-enabled" value="off"/></cluster_property_set>
			<cluster_property_set id="b"><nvpair name="stonith-enabled" value="on"/></cluster_property_set></crm_config>
		<resources>
		<template id="t" class="ocf" provider="heartbeat" type="pgsqlms">
			<instance_attributes id="shared"><nvpair name="bindir" value="/t"/><nvpair name="pgport" value="1"/></instance_attributes>
			<operations><op name="start" timeout="60s"/></operations></template>
		<master id="m"><primitive id="a" template="t">
			<instance_attributes id="x"><rule/><nvpair name="pgport" value="3"/></instance_attributes>
			<instance_attributes id="y"><nvpair name="pgport" value="2"/></instance_attributes></primitive></master>
		<clone id="c"><meta_attributes><nvpair name="promotable" value="Yes"/><nvpair name="notify" value="true"/></meta_attributes>
			<group id="g"><primitive id="b" class="ocf" provider="heartbeat" type="pgsqlms"><instance_attributes id-ref="shared"/>
			<instance_attributes id-ref="nowhere"/><meta_attributes><nvpair name="notify" value="false"/></meta_attributes></primitive></group></clone>
		<primitive id="ip" type="IPaddr2"/></resources>
		<constraints><rsc_location id="l" rsc="m"><rule score="-INFINITY" role="Master">
			<expression attribute="#uname" operation="eq" value="n1"/></rule></rsc_location>
			<rsc_location id="p" rsc-pattern="a" node="n2" score="5"/></constraints>
		</configuration></cib>`)
	require.NoError(t, err)
	require.False(t, c.Fencing(), "the first set counts")
	require.Len(t, c.Resources, 2)
	a, b := c.Resources[0], c.Resources[1]
	require.Equal(t, "m", a.Clone)
	require.True(t, a.Promotable())
	require.True(t, a.ByRule)
	require.Equal(t, map[string]string{"bindir": "/t", "pgport": "2"}, a.Params)
	require.Equal(t, []Op{{Name: "start", Timeout: "60s", Own: map[string]string{"timeout": "60s"}}}, a.Ops)
	require.Equal(t, "c", b.Clone)
	require.True(t, b.Promotable())
	require.Equal(t, "true", b.Meta["notify"], "the clone's wins")
	require.Equal(t, []string{"--resource", "c", "--meta", "--delete-parameter", "notify"}, b.Unset("notify"))
	require.Equal(t, map[string]string{"bindir": "/t", "pgport": "1"}, b.Params)
	require.Equal(t, []Location{{ID: "l", Resource: "m", Node: "n1", Score: -Infinity, Role: RolePromoted, Rule: true}}, c.LocationsOf(a))
}

// A score for ever, as PAF left them, gives way to one of this life of the node.
func TestTransientAttributesWin(t *testing.T) {
	c, err := ParseCIB(`<cib><configuration><nodes><node id="1" uname="n1"><instance_attributes>
		<nvpair name="master-r" value="1"/><nvpair name="standby" value="on"/></instance_attributes></node></nodes></configuration>
		<status><node_state uname="n1"><transient_attributes><instance_attributes><nvpair name="master-r" value="2"/>
		<nvpair name="r-status" value="lags"/></instance_attributes></transient_attributes></node_state></status></cib>`)
	require.NoError(t, err)
	score, ok := c.Score("n1", "r")
	require.True(t, ok)
	require.Equal(t, 2, score)
	require.Equal(t, "lags", c.Status("n1", "r"))
	standby, _ := c.Attribute("n1", "standby")
	require.Equal(t, "on", standby)
	require.True(t, c.Fencing(), "the default")
}

func FuzzParseCIB(f *testing.F) {
	for _, name := range []string{"healthy.cib.xml", "ban.cib.xml", "disk.cib.xml"} {
		text, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Fuzz(func(_ *testing.T, text string) {
		c, err := ParseCIB(text)
		if err != nil {
			return
		}
		for _, r := range c.Resources {
			c.LocationsOf(r)
			for _, node := range c.NodeNames {
				c.Score(node, r.Name)
				c.Last(r.Name, node, "promote")
			}
		}
	})
}

// The property that says whether the cluster may fence has had three names, and the newest wins.
func TestNamesOfFencing(t *testing.T) {
	for _, c := range []struct {
		properties map[string]string
		on         bool
		name       string
	}{
		{map[string]string{}, true, "stonith-enabled"},
		{map[string]string{"stonith-enabled": "false"}, false, "stonith-enabled"},
		{map[string]string{"fencing-enabled": "false", "stonith-enabled": "true"}, false, "fencing-enabled"},
		{map[string]string{"fencing-enabled": "true", "stonith-enabled": "false"}, true, "fencing-enabled"},
	} {
		cib := CIB{Properties: c.properties}
		require.Equal(t, c.on, cib.Fencing(), "%v", c.properties)
		require.Equal(t, c.name, cib.FencingProperty(), "%v", c.properties)
	}
	watchdog := CIB{Properties: map[string]string{"have-watchdog": "true", "fencing-watchdog-timeout": "10s"}}
	require.True(t, watchdog.WatchdogFencing())
	watchdog.Properties["fencing-watchdog-timeout"] = "0"
	require.False(t, watchdog.WatchdogFencing())
}

// A meta attribute is taken away where it is set.
func TestUnsetOfAMetaAttribute(t *testing.T) {
	c, err := ParseCIB(`<cib><configuration><resources><clone id="c"><meta_attributes id="m"><nvpair id="n" name="notify" value="true"/></meta_attributes>
		<primitive id="p" type="pgsqlms"><meta_attributes id="q"><nvpair id="t" name="target-role" value="Stopped"/></meta_attributes></primitive></clone>
		<primitive id="alone" type="pgsqlms"><meta_attributes id="a"><nvpair id="u" name="target-role" value="Stopped"/></meta_attributes></primitive></resources></configuration></cib>`)
	require.NoError(t, err)
	of := func(name string) Resource { r, _ := c.Resource(name); return r }
	require.Equal(t, []string{"--resource", "p", "--meta", "--delete-parameter", "target-role", "--force"}, of("p").Unset("target-role"))
	require.Equal(t, []string{"--resource", "c", "--meta", "--delete-parameter", "notify"}, of("p").Unset("notify"))
	require.Equal(t, []string{"--resource", "alone", "--meta", "--delete-parameter", "target-role"}, of("alone").Unset("target-role"))
}
