package operator

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/beevik/etree"
	"github.com/stretchr/testify/require"

	"pgsqlms/internal/crm"
)

// From what each situation looks like, whether a switchover may be tried, and what is in
// its way.
func TestSwitchoverPlanOfEachSituation(t *testing.T) {
	possible := []string{"healthy", "lagging", "demoted"}
	for name, f := range situations(t) {
		p := planSwitchover(f, "")
		v := switchoverView{switchoverPlan: p, Resource: f.resource.Clone}
		golden(t, "switchover/"+name+".txt", v.planText(style{columns: leastColumns}))
		for _, one := range p.Checks {
			require.True(t, one.Level != levelError || one.ToDo != "", "%s: %v says what to do", name, one)
		}
		require.Equal(t, !slices.Contains(possible, name), p.Refused, name)
	}
}

// What speaks against the target's instance, or the primary's, and what is to be done about it.
func TestSwitchoverInstances(t *testing.T) {
	for check, node := range map[string]string{"target": "n2", "primary": "n1"} {
		cleanup, manage := "crm_resource --cleanup -r pgsqld --node "+node, "crm_resource --resource pgsqld-clone --meta --delete-parameter is-managed"
		for name, c := range map[string]struct {
			change func(*crm.Instance, *crm.Node)
			todo   string // empty where it is not refused
		}{
			"managed":     {func(*crm.Instance, *crm.Node) {}, ""},
			"unmanaged":   {func(i *crm.Instance, _ *crm.Node) { i.Managed = false }, manage},
			"blocked":     {func(i *crm.Instance, _ *crm.Node) { i.Managed, i.Blocked = false, true }, cleanup},
			"failed":      {func(i *crm.Instance, _ *crm.Node) { i.Failed = true }, cleanup},
			"maintenance": {func(i *crm.Instance, n *crm.Node) { i.Managed, n.Maintenance = false, true }, "pgsqlms status"},
			"standby":     {func(_ *crm.Instance, n *crm.Node) { n.Standby = true }, "pgsqlms status"},
			"leaving":     {func(_ *crm.Instance, n *crm.Node) { n.Shutdown = true }, "pgsqlms status"},
			"lost":        {func(_ *crm.Instance, n *crm.Node) { n.Unclean = true }, "pgsqlms status"},
		} {
			f := situations(t)["healthy"]
			change(f.state, node, c.change)
			p := planSwitchover(f, "n2")
			require.Equal(t, c.todo != "", p.Refused, "%s: %s", check, name)
			if c.todo == "" {
				continue
			}
			todos := map[string]bool{}
			for _, one := range p.Checks {
				if one.Check == check && one.Level == levelError {
					todos[one.ToDo] = true
				}
			}
			require.Contains(t, todos, c.todo, "%s: %s", check, name)
		}
	}
	f := situations(t)["healthy"]
	change(f.state, "n2", func(i *crm.Instance, _ *crm.Node) { *i = crm.Instance{} })
	require.True(t, planSwitchover(f, "n2").Refused, "none runs there")
}

// change changes a node in a state, and the instance there.
func change(s crm.State, node string, how func(*crm.Instance, *crm.Node)) {
	for i := range s.Instances {
		for n := range s.Nodes {
			if s.Instances[i].Resource == "pgsqld" && s.Instances[i].Node == node && s.Nodes[n].Name == node {
				how(&s.Instances[i], &s.Nodes[n])
				return
			}
		}
	}
}

func TestSwitchoverTargets(t *testing.T) {
	f := situations(t)["healthy"]
	p := planSwitchover(f, "")
	require.Equal(t, []string{"n1", "n2"}, []string{p.From, p.Target}, "the best score")
	require.Equal(t, "crm_resource --move --resource pgsqld-clone --promoted --node n2 --lifetime PT1080S", p.Command)
	require.Equal(t, []string{"pgsql-vip"}, p.Followers)
	require.Equal(t, (120+30+4*60+40)*time.Second, p.Bound)
	require.True(t, planSwitchover(f, "n1").Done)
	require.True(t, planSwitchover(f, "n9").Refused)
	change(f.state, "n1", func(_ *crm.Instance, n *crm.Node) { n.Unclean = true })
	lost := planSwitchover(f, "n1")
	require.Equal(t, [2]bool{true, false}, [2]bool{lost.Refused, lost.Done}, "it is the primary by Pacemaker's word, and lost")
	f = situations(t)["healthy"]
	f.state.Failures = []crm.Failure{{Operation: "x_monitor_0", Task: "monitor", Node: "n3"}}
	require.True(t, planSwitchover(f, "n1").Done, "nothing of that takes the role away")
	f = situations(t)["healthy"]
	f.state.Version = "2.0.3-4b1f869f0f"
	require.Contains(t, planSwitchover(f, "n3").Command, "--master --node n3")

	lagging := situations(t)["lagging"]
	require.True(t, planSwitchover(lagging, "n3").Refused)

	broken := map[string]func(*survey){
		"quorum":        func(f *survey) { f.state.Quorum = false },
		"fence devices": func(f *survey) { f.state.Instances[0].Role = crm.RoleStopped },
		"fencing":       func(f *survey) { f.cib.Properties["stonith-enabled"] = "false" },
		"maintenance":   func(f *survey) { f.cib.Properties["maintenance-mode"] = "true" },
		"failed actions": func(f *survey) {
			f.state.Failures = []crm.Failure{{Operation: "x_monitor_0", Task: "monitor", Node: "n3"}}
		},
		"constraints": func(f *survey) {
			f.cib.Locations = []crm.Location{{ID: "mine", Resource: "pgsqld-clone", Node: "n2", Score: -crm.Infinity}}
		},
		"transition": func(f *survey) { f.state.Instances[0].Pending = "Starting" },
	}
	for check, breaks := range broken {
		f := situations(t)["healthy"]
		breaks(&f)
		p := planSwitchover(f, "n2")
		require.True(t, p.Refused, check)
		for _, finding := range p.Checks {
			require.False(t, finding.Level == levelError && finding.Check != check, "%s: %v", check, finding)
		}
	}
	f = situations(t)["healthy"]
	f.cib.Locations = []crm.Location{{ID: "mine", Resource: "pgsql-vip", Node: "n2", Score: -crm.Infinity}}
	require.True(t, planSwitchover(f, "n2").Refused, "the address would run nowhere")
	require.False(t, planSwitchover(f, "n3").Refused)
	eachInstance(&f, "pgsql-vip", func(i *crm.Instance) { i.Role, i.Node = crm.RoleStopped, "" })
	require.False(t, planSwitchover(f, "n2").Refused, "it is stopped on purpose")
	f = situations(t)["healthy"]
	f.cib.Colocations = append(slices.Clone(f.cib.Colocations), crm.Colocation{ID: "again", Resource: "pgsql-vip", With: "pgsqld-clone", WithRole: crm.RolePromoted, Score: crm.Infinity})
	f.cib.Locations = []crm.Location{{ID: "ip", Resource: "pgsql-vip", Node: "n1", Score: 1}}
	require.Zero(t, planSwitchover(f, "n2").Checks.count(levelWarning), "two colocations of one address count once")
	f = situations(t)["healthy"]
	f.cib.Colocations = append(slices.Clone(f.cib.Colocations), crm.Colocation{ID: "site", Resource: "vip-b", With: "pgsqld-clone", WithRole: crm.RolePromoted, Score: crm.Infinity})
	f.cib.Locations = []crm.Location{{ID: "a", Resource: "pgsql-vip", Node: "n2", Score: -crm.Infinity}, {ID: "b", Resource: "vip-b", Node: "n1", Score: -crm.Infinity}}
	require.False(t, planSwitchover(f, "n2").Refused, "the other site's address comes up there")
	f.cib.Locations = append(f.cib.Locations, crm.Location{ID: "c", Resource: "vip-b", Node: "n2", Score: -crm.Infinity})
	require.True(t, planSwitchover(f, "n2").Refused)
	f = situations(t)["healthy"]
	f.cib.Locations = []crm.Location{{ID: "cli-prefer-pgsqld-clone", Resource: "pgsqld-clone", Node: "n3", Score: crm.Infinity}}
	require.True(t, planSwitchover(f, "n2").Refused, "a move of somebody else's would be replaced")
	f.cib.Locations[0].Rule, f.cib.Locations[0].Until = true, time.Unix(1000, 0)
	f.state.Asked = time.Unix(999, 0)
	require.True(t, planSwitchover(f, "n2").Refused, "its lifetime has not ended")
	f.state.Asked = time.Unix(1000, 0)
	require.False(t, planSwitchover(f, "n2").Refused, "it is over, and a new move takes its place")
}

// The constraint outlasts the command by any clock that is less than the margin off, and by that of a coordinator that is further ahead.
func TestSwitchoverLifetime(t *testing.T) {
	const all, bound = 20*time.Second + time.Minute + 30*time.Second, time.Minute
	for ahead, want := range map[time.Duration]time.Duration{
		0: all + 10*time.Minute, -time.Hour: all + 10*time.Minute, time.Minute: all + 10*time.Minute, time.Hour: all + 10*time.Minute + time.Hour,
	} {
		require.Equal(t, want, moveLifetime(bound, ahead), ahead)
	}
}

// What prefers another node takes the role back once the switchover's own constraint is gone.
func TestSwitchoverAgainstAPreference(t *testing.T) {
	prefer := func(id, node string, score int, role crm.Role) crm.Location {
		return crm.Location{ID: id, Resource: "pgsqld-clone", Node: node, Score: score, Role: role}
	}
	for name, c := range map[string]struct {
		locations []crm.Location
		want      level // of the constraints that are named
		named     []string
	}{
		"none":                        {nil, levelOK, []string{"none in the way"}},
		"as much as the lead":         {[]crm.Location{prefer("home", "n1", 1, crm.RolePromoted)}, levelOK, []string{"none in the way"}},
		"more than the lead":          {[]crm.Location{prefer("home", "n1", 2, crm.RolePromoted)}, levelWarning, []string{"home"}},
		"of any role":                 {[]crm.Location{prefer("home", "n1", 2, "")}, levelWarning, []string{"home"}},
		"of a third node":             {[]crm.Location{prefer("home", "n3", 50, crm.RolePromoted)}, levelWarning, []string{"home"}},
		"of the target":               {[]crm.Location{prefer("home", "n2", 50, crm.RolePromoted)}, levelOK, []string{"none in the way"}},
		"made up for by the target's": {[]crm.Location{prefer("home", "n1", 50, crm.RolePromoted), prefer("there", "n2", 49, "")}, levelOK, []string{"none in the way"}},
		"two that are too much":       {[]crm.Location{prefer("a", "n1", 1, crm.RolePromoted), prefer("b", "n1", 1, "")}, levelWarning, []string{"a", "b"}},
		"against the target":          {[]crm.Location{prefer("not", "n2", -2, crm.RolePromoted)}, levelWarning, []string{"not"}},
		"a little against the target": {[]crm.Location{prefer("not", "n2", -1, crm.RolePromoted)}, levelOK, []string{"none in the way"}},
		"for ever":                    {[]crm.Location{prefer("home", "n1", crm.Infinity, crm.RolePromoted)}, levelError, []string{"home"}},
		"of what moves along":         {[]crm.Location{{ID: "ip", Resource: "pgsql-vip", Node: "n1", Score: 50}}, levelWarning, []string{"ip"}},
		"its old move":                {[]crm.Location{{ID: "cli-prefer-pgsql-vip", Resource: "pgsql-vip", Node: "n1", Score: crm.Infinity}}, levelError, []string{"cli-prefer-pgsql-vip"}},
		"of another resource":         {[]crm.Location{{ID: "other", Resource: "other", Node: "n1", Score: 50}}, levelOK, []string{"none in the way"}},
		"of nobody that is told":      {[]crm.Location{{ID: "r", Resource: "pgsqld-clone", Rule: true, Score: 100}}, levelOK, []string{"none in the way"}},
	} {
		f := situations(t)["healthy"]
		f.cib.Locations = c.locations
		p := planSwitchover(f, "n2")
		require.Equal(t, c.want == levelError, p.Refused, name)
		var named []string
		for _, one := range p.Checks {
			if one.Check == "constraints" {
				require.Equal(t, c.want, one.Level, name)
				require.Equal(t, c.want == levelOK, one.ToDo == "", name)
				id, _, _ := strings.Cut(one.Found, " ")
				if c.want == levelOK {
					id = one.Found
				}
				named = append(named, id)
			}
		}
		require.Equal(t, c.named, named, name)
	}
}

// Where the nodes let each other in for replication only, the primary's node alone knows how far its standbys are.
func TestSwitchoverWithoutSQL(t *testing.T) {
	f := situations(t)["healthy"]
	for node := range f.others {
		f.others[node] = silent(errPgHba)
	}
	f.byAddress = silent(errPgHba)
	for _, target := range []string{"", "n2", "n3"} {
		p := planSwitchover(f, target)
		require.True(t, p.Refused)
		n := 0
		for _, one := range p.Checks {
			if one.Level == levelError {
				require.Contains(t, one.ToDo, "run it on n1, the primary's node", one)
				n++
			}
		}
		require.NotZero(t, n)
	}
}

// Fencing that is no trouble is in nobody's way.
func TestSwitchoverFencing(t *testing.T) {
	failed := crm.Fencing{Target: "n3", Status: "failed", Completed: time.Unix(100, 0)}
	noDevice := func(f *survey) { f.state.Instances[0].Role = crm.RoleStopped }
	offline := func(f *survey) {
		for n := range f.state.Nodes {
			if f.state.Nodes[n].Name == "n3" {
				f.state.Nodes[n].Online = false
			}
		}
	}
	for name, c := range map[string]struct {
		change func(*survey)
		todo   string // of the error; empty for none
	}{
		"failed, and the node is back": {func(f *survey) { f.state.Fencings = []crm.Fencing{failed} }, ""},
		"failed, and then worked": {func(f *survey) {
			offline(f)
			f.state.Fencings = []crm.Fencing{failed, {Target: "n3", Status: "success", Completed: time.Unix(200, 0)}}
		}, ""},
		"failed":    {func(f *survey) { offline(f); f.state.Fencings = []crm.Fencing{failed} }, "stonith_admin --cleanup --history n3"},
		"under way": {func(f *survey) { f.state.Fencings = []crm.Fencing{{Target: "n3", Status: "pending"}} }, "stonith_admin --history n3 --verbose"},
		"watchdogs": {func(f *survey) {
			noDevice(f)
			f.cib.Properties["stonith-watchdog-timeout"], f.cib.Properties["have-watchdog"] = "10s", "true"
		}, ""},
		"watchdogs, time by Pacemaker": {func(f *survey) {
			noDevice(f)
			f.cib.Properties["stonith-watchdog-timeout"], f.cib.Properties["have-watchdog"] = "-1", "true"
		}, ""},
		"watchdogs that nobody waits for": {func(f *survey) {
			noDevice(f)
			f.cib.Properties["stonith-watchdog-timeout"], f.cib.Properties["have-watchdog"] = "0", "true"
		}, readme + ": fencing first"},
		"no watchdog": {func(f *survey) {
			noDevice(f)
			f.cib.Properties["stonith-watchdog-timeout"], f.cib.Properties["have-watchdog"] = "10s", "false"
		}, readme + ": fencing first"},
	} {
		f := situations(t)["healthy"]
		c.change(&f)
		p := planSwitchover(f, "n2")
		require.Equal(t, c.todo != "", p.Refused, name)
		for _, one := range p.Checks {
			if one.Level == levelError {
				require.Contains(t, one.ToDo, c.todo, name)
			}
		}
	}
}

// moving is a cluster of fake tools in which a switchover is under way.
type moving struct {
	fakeTools
	out bytes.Buffer
	m   *mover
}

// newMoving makes tools that serve files: now.mon and now.cib until crm_resource has been
// called, then moved.mon and moved.cib; a delete goes back to now.cib.
func newMoving(t *testing.T) *moving {
	t.Helper()
	w := &moving{fakeTools: fakeTools{t: t, dir: t.TempDir()}}
	read := func(name string) string {
		text, err := os.ReadFile("../crm/testdata/" + name)
		require.NoError(t, err)
		return string(text)
	}
	mon, cib := read("healthy.mon.xml"), read("healthy.cib.xml")
	w.write("now.mon", mon)
	w.write("now.cib", cib)
	w.write("moved.mon", switched(mon))
	w.write("moved.cib", strings.Replace(switchedScores(cib), "</constraints>", moveConstraint+"</constraints>", 1))
	w.tool("crm_resource", `touch "$d/moved" "$d/constraint"`)
	w.tool("crm_mon", `if [ -e "$d/moved" ]; then cat "$d/moved.mon"; else cat "$d/now.mon"; fi`)
	w.tool("crm_node", "echo n1")
	w.tool("cibadmin", `case "$1" in
--delete) [ -e "$d/stuck" ] && { rm "$d/stuck"; echo no >&2; exit 1; }; rm -f "$d/constraint";;
*) if [ -e "$d/constraint" ]; then cat "$d/moved.cib"; else cat "$d/now.cib"; fi;;
esac`)
	w.plan(&w.out, &w.out)
	return w
}

// plan makes the mover.
func (w *moving) plan(stdout, stderr io.Writer) {
	c := &call{Process: Process{Environ: []string{"HA_SBIN_DIR=" + w.dir}, Stdout: stdout, Stderr: stderr}, output: outputText, now: time.Now}
	f := situations(w.t)["healthy"]
	v := switchoverView{switchoverPlan: planSwitchover(f, "n2"), Resource: "pgsqld-clone", primitive: "pgsqld"}
	require.False(w.t, v.Refused)
	w.m = newMover(c, newSurveyor(c), f, v)
	w.m.every, w.m.settleWait = 10*time.Millisecond, 50*time.Millisecond
}

// mon is now.mon with a change.
func (w *moving) mon(how func(*etree.Document)) string {
	w.t.Helper()
	doc := etree.NewDocument()
	require.NoError(w.t, doc.ReadFromFile(filepath.Join(w.dir, "now.mon")))
	how(doc)
	text, err := doc.WriteToString()
	require.NoError(w.t, err)
	return text
}

// onNode is the instance of pgsqld on a node.
func onNode(doc *etree.Document, node string) *etree.Element {
	return doc.FindElement("//resource[@id='pgsqld']/node[@name='" + node + "']/..")
}

// demoted has n1's instance for a standby.
func demoted(doc *etree.Document) { onNode(doc, "n1").CreateAttr("role", "Unpromoted") }

// moveConstraint is what crm_resource 2.1.5 writes for --move with a lifetime.
const moveConstraint = `<rsc_location id="cli-prefer-pgsqld-clone" rsc="pgsqld-clone" role="Promoted"><rule id="cli-prefer-rule-pgsqld-clone" score="INFINITY" boolean-op="and">` +
	`<expression id="cli-prefer-expr-pgsqld-clone" attribute="#uname" operation="eq" value="n2" type="string"/>` +
	`<date_expression id="cli-prefer-lifetime-end-pgsqld-clone" operation="lt" end="2126-11-21 15:00:00Z"/></rule></rsc_location>`

// cleared wants exactly the one constraint to have been removed.
func (w *moving) cleared() {
	w.t.Helper()
	require.NoFileExists(w.t, filepath.Join(w.dir, "constraint"))
	require.True(w.t, w.m.v.Cleared)
	require.Contains(w.t, w.calls(), "cibadmin --delete --xpath //constraints/rsc_location[@id='cli-prefer-pgsqld-clone' and "+
		"(@node='n2' or rule/expression[@attribute='#uname' and @operation='eq' and @value='n2'])]\n")
	require.Equal(w.t, 1, strings.Count(w.calls(), "crm_resource"), w.calls())
}

// switched has n1's and n2's places exchanged, and the virtual IP on n2.
func switched(mon string) string { return exchange(mon, `node name="n1" id`, `node name="n2" id`) }

func switchedScores(cib string) string {
	return exchange(cib, `name="master-pgsqld" value="1001"`, `name="master-pgsqld" value="1000"`)
}

func exchange(text, a, b string) string {
	before, resources, found := strings.Cut(text, "<resources")
	if !found || strings.Contains(text, "<cib") {
		before, resources = "", text
	} else {
		before += "<resources"
	}
	return before + strings.NewReplacer(a, b, b, a).Replace(resources)
}

func TestSwitchoverDone(t *testing.T) {
	w := newMoving(t)
	code, err := w.m.carryOut(t.Context())
	require.NoError(t, err)
	require.Equal(t, ExitWell, code, w.out.String())
	require.Equal(t, outcomeDone, w.m.v.Outcome)
	require.Contains(t, w.calls(), "crm_resource --move --resource pgsqld-clone --promoted --node n2 --lifetime PT1080S\n")
	for _, line := range []string{"n1 is demoted", "n2 is promoted", "pgsql-vip is started on n2", "the constraint is removed", "n2 is the primary now"} {
		require.Contains(t, w.out.String(), line)
	}
	w.cleared()
}

// What moves along and cannot start does not keep the constraint there, and is no failure of the switchover.
func TestSwitchoverWithoutItsFollower(t *testing.T) {
	stopped := func(mon string) string {
		before, vip, found := strings.Cut(mon, `<resource id="pgsql-vip"`)
		require.True(t, found)
		_, after, _ := strings.Cut(vip, "</resource>")
		return before + `<resource id="pgsql-vip" resource_agent="ocf:heartbeat:IPaddr2" role="Stopped" managed="true"/>` + after
	}
	w := newMoving(t)
	mon, err := os.ReadFile(filepath.Join(w.dir, "moved.mon"))
	require.NoError(t, err)
	w.write("moved.mon", stopped(string(mon)))
	w.m.followerWait, w.m.v.Bound = 50*time.Millisecond, 10*time.Second
	code, err := w.m.carryOut(t.Context())
	require.NoError(t, err)
	require.Equal(t, ExitWrong, code, w.out.String())
	require.Equal(t, outcomeUnfollowed, w.m.v.Outcome)
	require.Equal(t, []string{"pgsql-vip"}, w.m.v.NotStarted)
	require.Contains(t, w.out.String(), "n2 is the primary now, after ")
	require.Contains(t, w.out.String(), "but pgsql-vip did not start there within 0.1 s")
	require.Less(t, w.m.v.Seconds, w.m.v.Bound.Seconds()/2)
	w.cleared()

	f := situations(t)["healthy"]
	require.Equal(t, []string{"pgsql-vip"}, planSwitchover(f, "n2").Followers)
	f.state, err = crm.ParseState(stopped(string(mon)))
	require.NoError(t, err)
	require.Empty(t, planSwitchover(f, "n2").Followers, "stopped on purpose")
	f = situations(t)["healthy"]
	f.cib.Colocations[0].Score = 100
	require.Empty(t, planSwitchover(f, "n2").Followers, "it may run elsewhere")
}

// The target is lost half-way, and Pacemaker promotes somebody else.
func TestSwitchoverElsewhere(t *testing.T) {
	w := newMoving(t)
	mon, err := os.ReadFile(filepath.Join(w.dir, "now.mon"))
	require.NoError(t, err)
	w.write("moved.mon", exchange(string(mon), `node name="n1" id`, `node name="n3" id`))
	w.m.v.Bound = 10 * time.Second
	code, err := w.m.carryOut(t.Context())
	require.NoError(t, err)
	require.Equal(t, ExitWrong, code, w.out.String())
	require.Equal(t, outcomeElsewhere, w.m.v.Outcome)
	require.Contains(t, w.out.String(), "not done: n3 was promoted meanwhile; the primary is n3\n")
	w.cleared()
}

// The agent on the target refuses; the reason is its own.
func TestSwitchoverCancelled(t *testing.T) {
	w := newMoving(t)
	mon, err := os.ReadFile(filepath.Join(w.dir, "now.mon"))
	require.NoError(t, err)
	w.write("moved.mon", strings.Replace(string(mon), "</pacemaker-result>", `<failures><failure op_key="pgsqld_promote_0" node="n2" task="promote"
 exitstatus="error" exitcode="1" exitreason="switchover cancelled: 24 bytes are missing"/></failures></pacemaker-result>`, 1))
	code, err := w.m.carryOut(t.Context())
	require.NoError(t, err)
	require.Equal(t, ExitWrong, code)
	require.Contains(t, w.out.String(), "cancelled by the agent on n2: switchover cancelled: 24 bytes are missing\nthe primary is n1\n")
	require.Contains(t, w.out.String(), "to do: crm_resource --cleanup -r pgsqld --node n2\n")
	w.cleared()
}

// Pacemaker holds the target for promoted, and for failed, from the refusal until it is demoted. That is not the primary's
// return.
func TestSwitchoverCancelledWaitsForThePrimary(t *testing.T) {
	w := newMoving(t)
	mon := func(role1, role2 string, failed bool) string {
		return w.mon(func(doc *etree.Document) {
			for node, role := range map[string]string{"n1": role1, "n2": role2} {
				e := onNode(doc, node)
				e.CreateAttr("role", role)
				e.CreateAttr("failed", strconv.FormatBool(failed && node == "n2"))
			}
			f := doc.Root().CreateElement("failures").CreateElement("failure")
			for name, value := range map[string]string{"op_key": "pgsqld_promote_0", "node": "n2", "task": "promote", "exitstatus": "error", "exitcode": "1", "exitreason": "no"} {
				f.CreateAttr(name, value)
			}
		})
	}
	w.write("refused.mon", mon("Unpromoted", "Promoted", true))
	w.write("nobody.mon", mon("Unpromoted", "Unpromoted", false))
	w.write("again.mon", mon("Promoted", "Unpromoted", false))
	w.tool("crm_mon", `echo >>"$d/looks"
case $(wc -l <"$d/looks") in 1|2|3) cat "$d/refused.mon";; 4|5|6) cat "$d/nobody.mon";; *) cat "$d/again.mon";; esac`)
	code, err := w.m.carryOut(t.Context())
	require.NoError(t, err)
	require.Equal(t, ExitWrong, code)
	require.Contains(t, w.out.String(), "\nthe primary is n1\n")
	require.NotContains(t, w.out.String(), "n2 is promoted")
	w.cleared()
}

// A target that cannot have the role any more, and the old primary's return, end the wait at once, and with it the constraint:
// it would give the role to a node that comes back later.
func TestSwitchoverEndsWithItsTarget(t *testing.T) {
	node := func(attr string) func(*etree.Document) {
		return func(doc *etree.Document) {
			demoted(doc)
			e := doc.FindElement("//nodes/node[@name='n2']")
			e.CreateAttr(attr, strconv.FormatBool(attr != "online"))
		}
	}
	instance := func(attr string) func(*etree.Document) {
		return func(doc *etree.Document) {
			demoted(doc)
			onNode(doc, "n2").CreateAttr(attr, "true")
		}
	}
	for name, c := range map[string]struct {
		how    func(*etree.Document)
		reason string
	}{
		"offline":     {node("online"), "n2 is not in the cluster"},
		"unclean":     {node("unclean"), "n2 is lost and not fenced yet"},
		"standby":     {node("standby"), "n2 is in standby mode"},
		"maintenance": {node("maintenance"), "n2 is in maintenance mode"},
		"leaving":     {node("shutdown"), "n2 is leaving the cluster"},
		"failed":      {instance("failed"), "n2: its instance has failed"},
		"blocked":     {instance("blocked"), "n2: its instance is blocked"},
		"returned":    {func(*etree.Document) {}, "n1 was promoted again"},
	} {
		w := newMoving(t)
		w.write("demoted.mon", w.mon(demoted))
		w.write("lost.mon", w.mon(c.how))
		w.tool("crm_mon", `if [ ! -e "$d/constraint" ]; then cat "$d/now.mon"; exit; fi
echo >>"$d/looks"
case $(wc -l <"$d/looks") in 1|2) cat "$d/demoted.mon";; *) cat "$d/lost.mon";; esac`)
		w.m.v.Bound = 20 * time.Second
		code, err := w.m.carryOut(t.Context())
		require.NoError(t, err, name)
		require.Equal(t, ExitWrong, code, "%s: %s", name, w.out.String())
		require.Equal(t, outcomeCancelled, w.m.v.Outcome, name)
		require.Equal(t, "n1", w.m.v.Primary, name)
		require.Contains(t, w.out.String(), "\ncancelled: "+c.reason+"\nthe primary is n1\n", name)
		require.Contains(t, w.out.String(), "to do: pgsqlms status\n", name)
		require.Less(t, w.m.v.Seconds, w.m.v.Bound.Seconds()/2, name)
		w.cleared()
	}
}

// While something is under way the old primary's role may be one that it is about to lose.
func TestSwitchoverWaitsWhileSomethingIsUnderWay(t *testing.T) {
	state := func(role crm.Role, pending string) crm.State {
		return crm.State{Nodes: []crm.Node{{Name: "n1", Online: true}, {Name: "n2", Online: true}}, Instances: []crm.Instance{
			{Resource: "pgsqld", Node: "n1", Role: role, Pending: pending}, {Resource: "pgsqld", Node: "n2", Role: crm.RoleUnpromoted},
		}}
	}
	p := progress{resource: "pgsqld", from: "n1", target: "n2"}
	for _, c := range []struct {
		state crm.State
		lost  bool
	}{
		{state(crm.RolePromoted, ""), false}, {state(crm.RolePromoted, "Demoting"), false}, {state(crm.RoleUnpromoted, ""), false},
		{state(crm.RolePromoted, "Demoting"), false}, {state(crm.RolePromoted, "Monitoring"), true}, {state(crm.RolePromoted, ""), true},
	} {
		p.advance(c.state, time.Unix(1, 0))
		_, lost := p.lost(c.state)
		require.Equal(t, c.lost, lost, "%+v", c.state.Instances[0])
	}
}

// A preference for another node takes the role back once the constraint is gone.
func TestSwitchoverThatDoesNotLast(t *testing.T) {
	w := newMoving(t)
	w.write("back.mon", w.mon(func(doc *etree.Document) {
		demoted(doc)
		onNode(doc, "n1").CreateAttr("pending", "Promoting")
	}))
	w.tool("crm_mon", `if [ ! -e "$d/moved" ]; then cat "$d/now.mon"; exit; fi
if [ -e "$d/constraint" ]; then cat "$d/moved.mon"; exit; fi
echo >>"$d/looks"
case $(wc -l <"$d/looks") in 1) cat "$d/moved.mon";; 2|3) cat "$d/back.mon";; *) cat "$d/now.mon";; esac`)
	code, err := w.m.carryOut(t.Context())
	require.NoError(t, err)
	require.Equal(t, ExitWrong, code, w.out.String())
	require.Equal(t, outcomeReturned, w.m.v.Outcome)
	require.Contains(t, w.out.String(), "and lost it when the constraint was gone; the primary is n1\n")
	w.cleared()
}

// The answer to the question may come hours after the look: what was agreed to is done, or nothing.
func TestSwitchoverLooksAgainAfterTheAnswer(t *testing.T) {
	moved := func(t *testing.T) survey {
		f := situations(t)["healthy"]
		change(f.state, "n1", func(i *crm.Instance, _ *crm.Node) { i.Role = crm.RoleUnpromoted })
		change(f.state, "n3", func(i *crm.Instance, _ *crm.Node) { i.Role = crm.RolePromoted })
		f.others["n1"], f.others["n3"] = f.others["n3"], f.others["n1"]
		return f
	}
	for name, c := range map[string]struct {
		then    func(t *testing.T) survey
		outcome outcome
		reason  string
	}{
		"the same":        {func(t *testing.T) survey { return situations(t)["healthy"] }, outcomeDone, ""},
		"another primary": {moved, outcomeRefused, "the primary was n1 when you were asked, and is n3 now"},
		"somebody's move": {func(t *testing.T) survey {
			f := situations(t)["healthy"]
			f.cib.Locations = []crm.Location{{ID: "cli-prefer-pgsqld-clone", Resource: "pgsqld-clone", Node: "n3", Score: crm.Infinity, Role: crm.RolePromoted}}
			return f
		}, outcomeRefused, "since you were asked, constraints: cli-prefer-pgsqld-clone wants the role Promoted on n3 (INFINITY)"},
	} {
		w := newMoving(t)
		c1 := w.m.c
		c1.Stdin = strings.NewReader("yes\n")
		looks := 0
		code, err := decide(t.Context(), c1, newSurveyor(c1), "", func(_ context.Context, target string) (survey, switchoverPlan, error) {
			f := situations(t)["healthy"]
			if looks++; looks == 2 {
				require.Equal(t, "n2", target, "what was agreed to")
				f = c.then(t)
			}
			return f, planSwitchover(f, target), nil
		})
		require.NoError(t, err, name)
		require.Equal(t, 2, looks, name)
		require.Equal(t, c.outcome == outcomeDone, code == ExitWell, "%s: %s", name, w.out.String())
		if c.outcome == outcomeDone {
			require.Contains(t, w.out.String(), "n2 is the primary now, after ", name)
			require.NoFileExists(t, filepath.Join(w.dir, "constraint"), name)
			continue
		}
		require.Equal(t, ExitWrong, code, name)
		require.Contains(t, strings.Join(strings.Fields(w.out.String()), " "), "refused, nothing was done: "+c.reason, name)
		require.False(t, fileExists(filepath.Join(w.dir, "moved")), name)
	}
	w := newMoving(t)
	looks := 0
	w.m.c.yes = true
	_, err := decide(t.Context(), w.m.c, newSurveyor(w.m.c), "", func(_ context.Context, target string) (survey, switchoverPlan, error) {
		looks++
		f := situations(t)["healthy"]
		return f, planSwitchover(f, target), nil
	})
	require.NoError(t, err)
	require.Equal(t, 1, looks, "nobody was asked")
}

// panics is a terminal on which a mistake shows.
type panics struct{ at string }

func (p panics) Write(text []byte) (int, error) {
	if strings.Contains(string(text), p.at) {
		panic("a mistake")
	}
	return len(text), nil
}

// A mistake in this program leaves no constraint behind, wherever it is, and is seen. It ends the process, so it is made in
// another one.
func TestSwitchoverWithAMistake(t *testing.T) {
	const where, dir = "PGSQLMS_TEST_MISTAKE", "PGSQLMS_TEST_DIR"
	if os.Getenv(where) != "" {
		w := &moving{fakeTools: fakeTools{t: t, dir: os.Getenv(dir)}}
		w.plan(panics{os.Getenv(where)}, os.Stderr)
		w.m.c.carryOut(t.Context(), verb{name: switchoverName, run: func(ctx context.Context, _ *call) (ExitCode, error) {
			if os.Getenv(where) == "asker" {
				w.m.c.held.Store(&held{constraint: "cli-prefer-pgsqld-clone", liftOnce: w.m.unmoveOnce})
				wrong := func(context.Context) (bool, error) { panic("a mistake") }
				startGap(ctx, w.m.c, [2]asker{wrong, wrong}).wait()
			}
			return w.m.carryOut(ctx)
		}})
		return
	}
	for _, at := range []string{"n2 is promoted", "asker"} {
		w := newMoving(t)
		w.write("constraint", "")
		bounded, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		child := exec.CommandContext(bounded, os.Args[0], "-test.run=^TestSwitchoverWithAMistake$")
		child.Env = append(os.Environ(), where+"="+at, dir+"="+w.dir)
		out, err := child.CombinedOutput()
		cancel()
		require.Error(t, err, string(out))
		require.Contains(t, string(out), "panic: a mistake", at)
		require.Contains(t, string(out), "pgsqlms switchover: constraint cli-prefer-pgsqld-clone is removed\n", at)
		require.NoFileExists(t, filepath.Join(w.dir, "constraint"), at)
	}
}

// Ctrl-Z would stop the command with its constraint in force. Only a process in a group of its own, whose parent is in another
// one of the session, is stopped by it at all.
func TestSwitchoverIsNotStopped(t *testing.T) {
	const child = "PGSQLMS_TEST_STOP"
	if os.Getenv(child) != "" {
		stop := outliveReaders()
		defer stop()
		os.Stdout.WriteString("ready\n")
		_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
		os.Stdout.WriteString("on\n")
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestSwitchoverIsNotStopped$")
	cmd.Env = append(os.Environ(), child+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	said := make(chan string)
	go func() {
		defer close(said)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			said <- lines.Text()
		}
	}()
	require.Equal(t, "ready", <-said)
	require.NoError(t, cmd.Process.Signal(syscall.SIGTSTP))
	_, err = in.Write([]byte("\n"))
	require.NoError(t, err)
	select {
	case line := <-said:
		require.Equal(t, "on", line)
	case <-time.After(10 * time.Second):
		t.Error("it was stopped")
	}
	_ = cmd.Process.Kill()
	for range said {
	}
	_ = cmd.Wait()
}

// By Pacemaker's word the gap ends with the old primary's return, not with the target's refusal.
func TestSwitchoverProgressOfARefusal(t *testing.T) {
	p := progress{resource: "pgsqld", from: "n1", target: "n2"}
	look := func(old, target crm.Role, failed bool) crm.State {
		return crm.State{Instances: []crm.Instance{
			{Resource: "pgsqld", Node: "n1", Role: old}, {Resource: "pgsqld", Node: "n2", Role: target, Failed: failed},
		}}
	}
	for second, s := range []crm.State{
		look(crm.RolePromoted, crm.RoleUnpromoted, false), look(crm.RoleUnpromoted, crm.RoleUnpromoted, false),
		look(crm.RoleUnpromoted, crm.RolePromoted, true), look(crm.RoleUnpromoted, crm.RoleUnpromoted, false),
		look(crm.RolePromoted, crm.RoleUnpromoted, false),
	} {
		p.advance(s, time.Unix(int64(second), 0))
	}
	require.Equal(t, 4*time.Second, p.again.Sub(p.held))
}

// The constraint goes on every way out.
func TestSwitchoverRemovesItsConstraint(t *testing.T) {
	t.Run("after a signal", func(t *testing.T) {
		for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
			w := newMoving(t)
			w.write("moved.mon", "broken")
			ctx, stop := signal.NotifyContext(t.Context(), s)
			time.AfterFunc(300*time.Millisecond, func() { _ = syscall.Kill(syscall.Getpid(), s) })
			code, err := w.m.carryOut(ctx)
			stop()
			require.NoError(t, err)
			require.Equal(t, ExitUnknown, code)
			require.Equal(t, outcomeInterrupted, w.m.v.Outcome)
			w.cleared()
		}
	})
	t.Run("after a signal before crm_resource has ended", func(t *testing.T) {
		w := newMoving(t)
		w.tool("crm_resource", `sleep 0.3; touch "$d/moved" "$d/constraint"`)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(100*time.Millisecond, cancel)
		_, err := w.m.carryOut(ctx)
		require.NoError(t, err)
		w.cleared()
	})
	t.Run("after the bound", func(t *testing.T) {
		w := newMoving(t)
		w.write("moved.mon", "broken")
		w.m.v.Bound = 200 * time.Millisecond
		code, err := w.m.carryOut(t.Context())
		require.NoError(t, err)
		require.Equal(t, ExitUnknown, code)
		require.Equal(t, outcomeTimeout, w.m.v.Outcome)
		w.cleared()
	})
	t.Run("when crm_resource fails and has made it", func(t *testing.T) {
		w := newMoving(t)
		w.tool("crm_resource", `touch "$d/constraint"; echo 'timed out' >&2; exit 124`)
		code, err := w.m.carryOut(t.Context())
		require.NoError(t, err)
		require.Equal(t, ExitUnknown, code)
		require.Contains(t, w.out.String(), "the role was not moved: crm_resource ended with exit code 124: timed out")
		w.cleared()
	})
	t.Run("when it does not succeed at once", func(t *testing.T) {
		w := newMoving(t)
		w.write("stuck", "")
		code, err := w.m.carryOut(t.Context())
		require.NoError(t, err)
		require.Equal(t, ExitWell, code)
		w.cleared()
	})
}

// A question needs somebody to answer it.
func TestSwitchoverAsks(t *testing.T) {
	got := runs(t, nil, "switchover", "n2")
	require.Equal(t, ExitUsage, got.code)
	require.Contains(t, got.errout, "expected --yes or --dry-run")
	require.Equal(t, ExitUsage, runs(t, nil, "switchover", "n2", "n3", "--yes").code)
	for text, want := range map[string]bool{"yes\n": true, "Y\n": true, "no\n": false, "\n": false, "": false, "yess\n": false} {
		c := &call{Process: Process{Stdin: strings.NewReader(text), Stdout: &bytes.Buffer{}}}
		require.Equal(t, want, confirmed(t.Context(), c), text)
	}
}

func TestSwitchoverAsJSON(t *testing.T) {
	w := newMoving(t)
	w.m.c.output = outputJSON
	_, err := w.m.carryOut(t.Context())
	require.NoError(t, err)
	var v switchoverView
	require.NoError(t, json.Unmarshal(w.out.Bytes(), &v))
	require.Equal(t, outcomeDone, v.Outcome)
	require.Equal(t, "n2", v.Primary)
}

// The gap is measured from the last question that the old primary answered as one to the
// first answer of a new one, and never too short.
func TestGap(t *testing.T) {
	start := time.Unix(1_000_000, 0)
	at := func(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }
	var g gap
	g.note(true, at(0), at(10))
	g.note(true, at(200), at(230))
	g.note(false, at(1800), at(1820))
	g.note(false, at(2000), at(2020))
	require.Equal(t, 1620*time.Millisecond, g.wait())
	var back gap
	back.note(true, at(0), at(10))
	back.note(true, at(3000), at(3010))
	require.Equal(t, 3010*time.Millisecond, back.wait(), "the old one is one again")
	require.Zero(t, (&gap{}).wait())
}
