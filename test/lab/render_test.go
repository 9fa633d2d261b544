package lab

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestCorosyncConf(t *testing.T) {
	three := corosyncConf(Config{Name: "x", Token: 1500 * time.Millisecond}, nodesOf(3))
	require.Contains(t, three, "token: 1500\n")
	require.Contains(t, three, "cluster_name: x\n")
	require.Contains(t, three, "ring0_addr: 10.77.0.13\n\t\tname: n3\n\t\tnodeid: 3\n")
	require.NotContains(t, three, "two_node")
	require.NotContains(t, three, "token_coefficient")
	require.Contains(t, corosyncConf(Config{Name: "x", ExactToken: true}, nodesOf(3)), "token_coefficient: 0\n}")
	require.Contains(t, corosyncConf(Config{Name: "x", Token: time.Second}, nodesOf(2)), "two_node: 1\n")
}

func newCIB(pacemaker string, cfg Config) cib {
	return cib{cfg: cfg.withDefaults(), facts: treeFacts{Pacemaker: pacemaker, PostgreSQL: 15}, nodes: nodesOf(3)}
}

func TestConfigurationIsXML(t *testing.T) {
	c := newCIB("2.1.5", Config{Params: map[string]string{"start_opts": `-c x="a<b" & 'c'`}})
	var got struct {
		Pairs []struct {
			Name  string `xml:"name,attr"`
			Value string `xml:"value,attr"`
		} `xml:"resources>clone>primitive>instance_attributes>nvpair"`
	}
	require.NoError(t, xml.Unmarshal([]byte(c.configuration()), &got))
	values := map[string]string{}
	for _, p := range got.Pairs {
		values[p.Name] = p.Value
	}
	require.Equal(t, `-c x="a<b" & 'c'`, values["start_opts"])
	require.Equal(t, "/usr/lib/postgresql/15/bin", values["bindir"])
}

func TestConfigurationIDsAreUnique(t *testing.T) {
	ids := map[string]bool{}
	d := xml.NewDecoder(strings.NewReader(newCIB("2.1.5", Config{}).configuration()))
	for {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		start, ok := tok.(xml.StartElement)
		if !ok || start.Name.Local == "node" {
			continue
		}
		for _, a := range start.Attr {
			if a.Name.Local == "id" {
				require.False(t, ids[a.Value], "id %s twice", a.Value)
				ids[a.Value] = true
			}
		}
	}
	require.True(t, ids[CloneResource])
}

func TestRolesAreSpelledForThePacemaker(t *testing.T) {
	now := newCIB("2.1.5", Config{}).configuration()
	require.Contains(t, now, `interval="15s" timeout="10s" role="Promoted"`)
	require.Contains(t, now, `with-rsc-role="Promoted"`)
	old := newCIB("2.0.5", Config{}).configuration()
	require.Contains(t, old, `interval="16s" timeout="10s" role="Slave"`)
	require.Contains(t, old, `with-rsc-role="Master"`)
	require.NotContains(t, old, "romoted\"")
}

func TestNoResources(t *testing.T) {
	text := newCIB("2.1.5", Config{NoResources: true}).configuration()
	require.NotContains(t, text, "pgsql")
	require.Contains(t, text, `type="fence_lab"`)
}

func TestCustomPartsOfTheConfiguration(t *testing.T) {
	c := newCIB("2.1.5", Config{
		Ops:         []Op{{Name: "monitor", Interval: 1500 * time.Millisecond, Timeout: time.Second}},
		CloneMeta:   map[string]string{"interleave": "true"},
		Props:       map[string]string{"stonith-timeout": "90s"},
		Constraints: `<rsc_location id="mine"/>`,
	}).configuration()
	require.Contains(t, c, `name="monitor" interval="1500ms" timeout="1s"/>`)
	require.NotContains(t, c, `name="notify" interval`)
	require.Contains(t, c, `name="interleave" value="true"`)
	require.Contains(t, c, `name="notify" value="true"`)
	require.Contains(t, c, `name="stonith-timeout" value="90s"`)
	require.Contains(t, c, `<rsc_location id="mine"/></constraints>`)
}

func TestWithCrmConfig(t *testing.T) {
	got, err := withCrmConfig("<cib><configuration><crm_config/><nodes/></configuration></cib>", "<crm_config>x</crm_config>")
	require.NoError(t, err)
	require.Equal(t, "<cib><configuration><crm_config>x</crm_config><nodes/></configuration></cib>", got)
	_, err = withCrmConfig("<cib/>", "x")
	require.ErrorContains(t, err, "crm_config")
}

func TestPgConf(t *testing.T) {
	nodes := nodesOf(3)
	f := treeFacts{PostgreSQL: 15}
	text := pgConf(Config{Sync: true, PGConf: map[string]string{"log_statement": "it's"}}, f, nodes, nodes[1])
	require.Contains(t, text, "application_name=n2 ")
	require.Contains(t, text, "host=10.77.0.100 ")
	require.Contains(t, text, "synchronous_standby_names = 'ANY 1 (n1,n2,n3)'\n")
	require.Contains(t, text, "log_statement = 'it''s'\n")
	require.NotContains(t, text, "fsync")
	async := pgConf(Config{NoSync: true}, treeFacts{PostgreSQL: 12}, nodes, nodes[0])
	require.NotContains(t, async, "synchronous_standby_names")
	require.Contains(t, async, "wal_keep_segments")
	require.Contains(t, async, "fsync = 'off'\n")
}

func TestPgHBARejectsReplicationFromItself(t *testing.T) {
	lines := strings.Split(pgHBA(Config{}, nodesOf(2)[1]), "\n")
	first := func(has ...string) int {
		for i, l := range lines {
			f := strings.Join(strings.Fields(l), " ")
			if f == strings.Join(has, " ") {
				return i
			}
		}
		t.Fatalf("no line %v in %v", has, lines)
		return -1
	}
	allow := first("host", "replication", "replicator", "10.77.0.0/24", "trust")
	require.Less(t, first("host", "replication", "all", "10.77.0.12/32", "reject"), allow)
	require.Less(t, first("host", "replication", "all", "10.77.0.100/32", "reject"), allow)
}
