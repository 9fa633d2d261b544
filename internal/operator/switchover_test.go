package operator

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
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

// What speaks against the target's instance, and what is to be done about it.
func TestSwitchoverTargetsInstance(t *testing.T) {
	const cleanup, manage = "crm_resource --cleanup -r pgsqld --node n2", "crm_resource -r pgsqld-clone --meta -d is-managed"
	for name, c := range map[string]struct {
		change  func(*crm.Instance)
		refused bool
		todo    string
	}{
		"managed":   {func(*crm.Instance) {}, false, ""},
		"unmanaged": {func(i *crm.Instance) { i.Managed = false }, true, manage},
		"blocked":   {func(i *crm.Instance) { i.Managed, i.Blocked = false, true }, true, cleanup},
		"failed":    {func(i *crm.Instance) { i.Failed = true }, true, cleanup},
		"absent":    {func(i *crm.Instance) { *i = crm.Instance{} }, true, cleanup},
	} {
		f := situations(t)["healthy"]
		for n := range f.state.Instances {
			if i := &f.state.Instances[n]; i.Resource == "pgsqld" && i.Node == "n2" {
				c.change(i)
			}
		}
		p := planSwitchover(f, "n2")
		require.Equal(t, c.refused, p.Refused, name)
		if !c.refused {
			continue
		}
		todos := map[string]bool{}
		for _, check := range p.Checks {
			if check.Check == "target" && check.Level == levelError {
				todos[check.ToDo] = true
			}
		}
		require.Equal(t, map[string]bool{c.todo: true}, todos, name)
	}
}

func TestSwitchoverTargets(t *testing.T) {
	f := situations(t)["healthy"]
	p := planSwitchover(f, "")
	require.Equal(t, []string{"n1", "n2"}, []string{p.From, p.Target}, "the best score")
	require.Equal(t, "crm_resource --move --resource pgsqld-clone --promoted --node n2", p.Command)
	require.Equal(t, []string{"pgsql-vip"}, p.Followers)
	require.Equal(t, (120+30+4*60+40)*time.Second, p.Bound)
	require.True(t, planSwitchover(f, "n1").Done)
	require.True(t, planSwitchover(f, "n9").Refused)
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
	f.cib.Locations = []crm.Location{{ID: "cli-prefer-pgsqld-clone", Resource: "pgsqld-clone", Node: "n3", Score: crm.Infinity}}
	require.True(t, planSwitchover(f, "n2").Refused, "a move of somebody else's would be replaced")
	f.cib.Locations[0].ID = "home"
	require.False(t, planSwitchover(f, "n2").Refused)
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
	w.write("moved.cib", strings.Replace(switchedScores(cib), "</constraints>",
		`<rsc_location id="cli-prefer-pgsqld-clone" rsc="pgsqld-clone" role="Promoted" node="n2" score="INFINITY"/></constraints>`, 1))
	w.tool("crm_resource", `touch "$d/moved" "$d/constraint"`)
	w.tool("crm_mon", `if [ -e "$d/moved" ]; then cat "$d/moved.mon"; else cat "$d/now.mon"; fi`)
	w.tool("crm_node", "echo n1")
	w.tool("cibadmin", `case "$1" in
--delete) [ -e "$d/stuck" ] && { rm "$d/stuck"; echo no >&2; exit 1; }; rm -f "$d/constraint";;
*) if [ -e "$d/constraint" ]; then cat "$d/moved.cib"; else cat "$d/now.cib"; fi;;
esac`)
	c := &call{Process: Process{Environ: []string{"HA_SBIN_DIR=" + w.dir}, Stdout: &w.out, Stderr: &w.out}, output: outputText, now: time.Now}
	f := situations(t)["healthy"]
	v := switchoverView{switchoverPlan: planSwitchover(f, "n2"), Resource: "pgsqld-clone", primitive: "pgsqld"}
	require.False(t, v.Refused)
	w.m = newMover(c, newSurveyor(c), f, v)
	w.m.every = 10 * time.Millisecond
	return w
}

// cleared wants exactly the one constraint to have been removed.
func (w *moving) cleared() {
	w.t.Helper()
	require.NoFileExists(w.t, filepath.Join(w.dir, "constraint"))
	require.True(w.t, w.m.v.Cleared)
	require.Contains(w.t, w.calls(), "cibadmin --delete --xpath //constraints/rsc_location[@id='cli-prefer-pgsqld-clone' and @node='n2']\n")
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
	require.Contains(t, w.calls(), "crm_resource --move --resource pgsqld-clone --promoted --node n2\n")
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
		text, err := os.ReadFile(filepath.Join(w.dir, "now.mon"))
		require.NoError(t, err)
		doc := etree.NewDocument()
		require.NoError(t, doc.ReadFromBytes(text))
		for node, role := range map[string]string{"n1": role1, "n2": role2} {
			e := doc.FindElement("//resource[@id='pgsqld']/node[@name='" + node + "']/..")
			require.NotNil(t, e)
			e.CreateAttr("role", role)
			e.CreateAttr("failed", strconv.FormatBool(failed && node == "n2"))
		}
		f := doc.Root().CreateElement("failures").CreateElement("failure")
		for name, value := range map[string]string{"op_key": "pgsqld_promote_0", "node": "n2", "task": "promote", "exitstatus": "error", "exitcode": "1", "exitreason": "no"} {
			f.CreateAttr(name, value)
		}
		out, err := doc.WriteToString()
		require.NoError(t, err)
		return out
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
