package crm

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The files in testdata are what crm_mon and cibadmin of Pacemaker 2.1.5 printed in the
// lab, but for those in TestOtherReleases.

func fromFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	require.NoError(t, err)
	return string(text)
}

func stateOf(t *testing.T, name string) State {
	t.Helper()
	s, err := ParseState(fromFile(t, name))
	require.NoError(t, err)
	return s
}

func TestParseStateOfAHealthyCluster(t *testing.T) {
	s := stateOf(t, "healthy.mon.xml")
	require.Equal(t, "n3", s.DC)
	require.True(t, s.Quorum)
	require.True(t, s.Fencing)
	require.False(t, s.Maintenance)
	require.Equal(t, time.Date(2026, 11, 21, 14, 3, 46, 0, time.Local), s.LastChange)
	require.Equal(t, []Node{{Name: "n1", Online: true}, {Name: "n2", Online: true}, {Name: "n3", Online: true}}, s.Nodes)
	require.Equal(t, []string{"n1"}, s.Promoted("pgsqld"))
	i, found := s.On("pgsqld", "n2")
	require.True(t, found)
	require.Equal(t, Instance{
		Resource: "pgsqld", Clone: "pgsqld-clone", Agent: "ocf:heartbeat:pgsqlms", Node: "n2", Role: RoleUnpromoted, Managed: true,
	}, i)
	vip, found := s.On("pgsql-vip", "n1")
	require.True(t, found)
	require.Equal(t, RoleStarted, vip.Role)
	require.Empty(t, vip.Clone)
	require.Empty(t, s.Failures)
	require.Empty(t, s.Fencings)
	require.Empty(t, s.Bans)
}

func TestParseStateOfTrouble(t *testing.T) {
	require.True(t, stateOf(t, "maint.mon.xml").Maintenance)
	unmanaged, _ := stateOf(t, "maint.mon.xml").On("pgsqld", "n1")
	require.False(t, unmanaged.Managed)

	require.Equal(t, []Ban{{ID: "cli-ban-pgsqld-clone-on-n3", Resource: "pgsqld-clone", Node: "n3", Score: -Infinity}}, stateOf(t, "ban.mon.xml").Bans)

	failures := stateOf(t, "killpg.mon.xml").Failures
	require.Len(t, failures, 1)
	require.Equal(t, Failure{
		Operation: "pgsqld_monitor_15000", Node: "n1", Task: "monitor", Code: 9, Text: "promoted (failed)",
		Reason: `the primary in /var/lib/postgresql/15/main is gone and was not shut down: pg_control says "in production"; to do: Pacemaker reco`,
		At:     time.Date(2026, 11, 21, 14, 4, 36, 0, time.UTC),
	}, withUTC(failures[0]))
	require.Equal(t, "pgsqld", failures[0].Resource())

	fencings := stateOf(t, "after.mon.xml").Fencings
	require.Len(t, fencings, 1)
	require.Equal(t, Fencing{Action: "reboot", Target: "n1", By: "n3", Status: "success",
		Completed: time.Date(2026, 11, 21, 14, 4, 52, 0, time.UTC)}, Fencing{fencings[0].Action, fencings[0].Target,
		fencings[0].By, fencings[0].Status, fencings[0].Reason, fencings[0].Completed.UTC()})

	n3, found := stateOf(t, "onedown.mon.xml").Node("n3")
	require.True(t, found)
	require.True(t, n3.Pending)
	_, found = stateOf(t, "onedown.mon.xml").Node("n4")
	require.False(t, found)
}

func withUTC(f Failure) Failure {
	f.At = f.At.UTC()
	return f
}

// The words and elements of other releases than the one in testdata.
func TestOtherReleases(t *testing.T) {
	s, err := ParseState(`<pacemaker-result><summary>
		<current_dc present="false"/><cluster_options stonith-enabled="false"/></summary>
		<nodes><node name="n1" online="true" standby_onfail="true" unclean="true"/><node name="far" type="remote" online="true"/></nodes>
		<resources>
		<clone id="c"><resource id="pgsqld:0" role="Master" pending="Demoting"><node name="n1"/></resource>
		<resource id="pgsqld:1" role="Slave"><node name="n2"/></resource></clone>
		<group id="g"><resource id="ip" role="Started"><node name="n1"/></resource></group></resources>
		<failures><failure op_key="pgsqld:0_promote_0" task="promote" last-rc-change="2026-11-21 14:04:36 +01:00"/></failures>
		</pacemaker-result>`)
	require.NoError(t, err)
	require.Empty(t, s.DC)
	require.False(t, s.Quorum)
	require.False(t, s.Fencing)
	require.Equal(t, []Node{{Name: "n1", Online: true, Standby: true, Unclean: true}, {Name: "far", Online: true, Remote: true}}, s.Nodes)
	require.Equal(t, []string{"n1"}, s.Promoted("pgsqld"))
	i, _ := s.On("pgsqld", "n1")
	require.Equal(t, "Demoting", i.Pending)
	_, found := s.On("ip", "n1")
	require.True(t, found)
	require.Equal(t, "pgsqld", s.Failures[0].Resource())
	require.Equal(t, int64(1795266276), s.Failures[0].At.Unix())
}

func TestParseStateRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                         "begins with nothing",
		"<crm_mon/>":               "begins with <crm_mon>, expected <pacemaker-result>",
		"<pacemaker-result":        "cannot be read",
		"Connection refused":       "begins with nothing",
		"<a><pacemaker-result/>":   "cannot be read",
		fromFile(t, "ban.cib.xml"): "begins with <cib>",
	} {
		_, err := ParseState(text)
		require.ErrorContains(t, err, want)
	}
}

// Without a cluster crm_mon says why in XML, on standard output.
func TestStateOfANodeWithoutPacemaker(t *testing.T) {
	sbin := t.TempDir()
	script := "#!/bin/sh\ncat <<'END'\n" + fromFile(t, "down.mon.xml") + "END\nexit 102\n"
	require.NoError(t, os.WriteFile(filepath.Join(sbin, "crm_mon"), []byte(script), 0o755))
	_, err := New(sbin, nil).State(context.Background())
	require.EqualError(t, err, "crm_mon ended with exit code 102: crm_mon: Connection to cluster failed: Connection refused")
	var tool *ToolError
	require.ErrorAs(t, err, &tool)
}

func FuzzParseState(f *testing.F) {
	for _, name := range []string{"healthy.mon.xml", "killpg.mon.xml", "down.mon.xml"} {
		text, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseState(text)
		if err != nil {
			return
		}
		for _, i := range s.Instances {
			if strings.Contains(i.Resource, ":") {
				t.Errorf("resource %q", i.Resource)
			}
		}
		for _, node := range s.Promoted("pgsqld") {
			if i, found := s.On("pgsqld", node); !found || i.Node == "" {
				t.Errorf("promoted on %q: %v", node, i)
			}
		}
	})
}
