package crm

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A rule counts where Pacemaker says that it holds, and a plain constraint always.
func TestLocationsInEffect(t *testing.T) {
	const begin, end = `<cib><configuration><resources><clone id="pgsqld-clone"><primitive id="pgsqld" type="pgsqlms"/></clone></resources><constraints>`,
		`</constraints></configuration></cib>`
	lifetime := func(date string) string {
		return `<rsc_location id="cli-ban-pgsqld-clone-on-n3" rsc="pgsqld-clone" role="Started"><rule id="r" score="-INFINITY" boolean-op="and">` +
			`<expression id="e" attribute="#uname" operation="eq" value="n3"/><date_expression id="d" operation="lt" end="` + date + `"/></rule></rsc_location>`
	}
	ping := `<rsc_location id="ping" rsc="pgsqld-clone"><rule id="r" score="-INFINITY" role="Promoted" boolean-op="or"><expression id="e" attribute="pingd" operation="lt" value="1"/></rule></rsc_location>`
	ban := func(id, resource, node, rest string) string {
		return `<ban id="` + id + `" resource="` + resource + `" node="` + node + `" weight="-1000000" ` + rest + `/>`
	}
	for name, c := range map[string]struct {
		constraint, bans string
		want             []Location
	}{
		"plain": {
			`<rsc_location id="l" rsc="pgsqld" node="n1" score="-INFINITY"/>`, ban("l", "pgsqld-clone", "n1", ""),
			[]Location{{ID: "l", Resource: "pgsqld", Node: "n1", Score: -Infinity}},
		},
		"a ban of a lifetime": {
			lifetime("2026-11-23"), ban("cli-ban-pgsqld-clone-on-n3", "pgsqld-clone", "n3", `promoted-only="false"`),
			[]Location{{ID: "cli-ban-pgsqld-clone-on-n3", Resource: "pgsqld-clone", Node: "n3", Role: RoleStarted, Score: -Infinity, Rule: true}},
		},
		"one that is over": {lifetime("2026-11-20"), "", nil},
		"a rule":           {ping, "", nil},
		"a rule that holds": {
			ping, ban("ping", "pgsqld-clone", "n2", `promoted-only="true"`), []Location{{ID: "ping", Resource: "pgsqld-clone", Node: "n2", Role: RolePromoted, Score: -Infinity, Rule: true}},
		},
		"a pattern": {
			`<rsc_location id="p" rsc-pattern="^pgsql" role="Master" node="n1" score="-INFINITY"/>`,
			ban("p", "pgsqld-clone", "n1", `master_only="true"`) + ban("p", "pgsql-vip", "n1", `master_only="true"`),
			[]Location{{ID: "p", Resource: "pgsqld-clone", Node: "n1", Role: RolePromoted, Score: -Infinity}},
		},
		"a set": {
			`<rsc_location id="s" node="n1" score="-INFINITY"><resource_set id="x"><resource_ref id="a"/><resource_ref id="pgsqld-clone"/></resource_set></rsc_location>`,
			ban("s", "a", "n1", "") + ban("s", "pgsqld-clone", "n1", ""), []Location{{ID: "s", Resource: "pgsqld-clone", Node: "n1", Score: -Infinity}},
		},
		"less than infinity": {
			`<rsc_location id="p" rsc-pattern="." node="n1" score="-5"/>`, `<ban id="p" resource="pgsqld-clone" node="n1" weight="-5"/>`,
			[]Location{{ID: "p", Resource: "pgsqld-clone", Node: "n1", Score: -5}},
		},
		"of another resource": {`<rsc_location id="o" rsc="o" node="n1" score="-INFINITY"/>`, ban("o", "o", "n1", ""), nil},
		"preferred": {
			`<rsc_location id="l" rsc="pgsqld-clone" node="n1" score="50"/>`, "", []Location{{ID: "l", Resource: "pgsqld-clone", Node: "n1", Score: 50}},
		},
	} {
		cib, err := ParseCIB(begin + c.constraint + end)
		require.NoError(t, err, name)
		state, err := ParseState("<pacemaker-result><bans>" + c.bans + "</bans></pacemaker-result>")
		require.NoError(t, err, name)
		require.Equal(t, c.want, cib.InEffect(state, cib.Resources[0]), name)
	}
}

// Options of operations come from the operation, a set of its own, or the defaults of all.
func TestOptionsOfOperations(t *testing.T) {
	cib, err := ParseCIB(`<cib><configuration><resources><primitive id="pgsqld" type="pgsqlms"><operations><op id="1" name="start" timeout="60s"/>` +
		`<op id="2" name="stop"><meta_attributes id="m"><nvpair id="n" name="on-fail" value="block"/></meta_attributes></op>` +
		`<op id="3" name="monitor" role="Master" interval="15s" enabled="false"/></operations></primitive></resources>` +
		`<constraints><rsc_colocation id="sets" score="INFINITY"><resource_set id="x"/></rsc_colocation></constraints>` +
		`<op_defaults><meta_attributes id="d"><nvpair id="t" name="timeout" value="90s"/></meta_attributes></op_defaults></configuration></cib>`)
	require.NoError(t, err)
	require.Equal(t, []Op{
		{Name: "start", Timeout: "60s", Own: map[string]string{"timeout": "60s"}},
		{Name: "stop", Timeout: "90s", OnFail: "block", Own: map[string]string{"on-fail": "block"}},
		{Name: "monitor", Role: RolePromoted, Interval: "15s", Timeout: "90s", Enabled: "false", Own: map[string]string{"interval": "15s", "role": "Master", "enabled": "false"}},
	}, cib.Resources[0].Ops)
	require.Equal(t, []string{"sets"}, cib.ColocationSets)
}

// The constraint that crm_resource 2.1.5 made of --move --promoted --node n2 --lifetime PT1080S is n2's, and over when its
// moment has come by this node's clock. Nothing else with a date in it is.
func TestLocationOfALifetime(t *testing.T) {
	text, err := os.ReadFile("testdata/lifetime.cib.xml")
	require.NoError(t, err)
	read := func(change ...string) CIB {
		c, err := ParseCIB(strings.NewReplacer(change...).Replace(string(text)))
		require.NoError(t, err)
		return c
	}
	c := read()
	r := c.Resources[0]
	require.Len(t, c.LocationsOf(r), 1)
	l := c.LocationsOf(r)[0]
	end := l.Until
	require.False(t, end.IsZero())
	l.Until = time.Time{}
	require.Equal(t, Location{ID: MoveID("pgsqld-clone"), Resource: "pgsqld-clone", Node: "n2", Score: Infinity, Role: RolePromoted, Rule: true}, l)

	require.Len(t, c.InEffect(State{}, r), 1, "when it was asked for is not known")
	require.Len(t, c.InEffect(State{Asked: end.Add(-time.Second)}, r), 1)
	require.Empty(t, c.InEffect(State{Asked: end}, r))
	for _, change := range [][]string{
		{`boolean-op="and"`, `boolean-op="or"`}, {`operation="lt"`, `operation="gt"`}, {` end="`, ` end="?`},
	} {
		require.Len(t, read(change...).InEffect(State{Asked: end.Add(time.Hour)}, r), 1, change)
	}
}

// The moment by which a lifetime is judged is when the cluster was asked.
func TestStateKnowsWhenItWasAskedFor(t *testing.T) {
	sbin := t.TempDir()
	script := "#!/bin/sh\ncat <<'END'\n" + fromFile(t, "healthy.mon.xml") + "END\n"
	require.NoError(t, os.WriteFile(filepath.Join(sbin, "crm_mon"), []byte(script), 0o755))
	before := time.Now()
	s, err := New(sbin, nil).State(t.Context())
	require.NoError(t, err)
	require.WithinRange(t, s.Asked, before, time.Now())
}
