package operator

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"pgsqlms/internal/crm"
	"pgsqlms/internal/pg"
)

// texts are those of remarks, each with its node and what to do.
func texts(remarks []remark) (all []string) {
	for _, r := range remarks {
		all = append(all, r.Node+": "+r.Text+" ("+r.ToDo+")")
	}
	return all
}

// A role that PostgreSQL does not tell who streams makes no trouble of that.
func TestStatusWithoutPgMonitor(t *testing.T) {
	f := situations(t)["healthy"]
	for _, node := range []string{"n1", "n3"} {
		other := f.others[node]
		other.report.Blind, other.report.Receiver, other.report.Standbys = "replicator", nil, nil
		f.others[node] = other
	}
	v := assess(f)
	require.Empty(t, v.Problems)
	unknown := strings.Join(texts(v.Unknown), "\n")
	for _, node := range []string{"n1", "n3"} {
		require.Contains(t, unknown, node+": its instance was asked as replicator")
	}
	require.Contains(t, unknown, `-c "grant pg_monitor to replicator", as postgres, on n1`)
	states := map[string]nodeState{}
	for _, n := range v.Nodes {
		states[n.Name] = n.State
	}
	require.Equal(t, map[string]nodeState{"n1": stateRunning, "n2": stateStreaming, "n3": stateUnknown}, states)
}

// What follows the primary, and what fences, is looked at.
func TestStatusOfWhatIsBesideTheInstances(t *testing.T) {
	vip := func(change func(*crm.Instance)) func(*survey) {
		return func(f *survey) { eachInstance(f, "pgsql-vip", change) }
	}
	for name, c := range map[string]struct {
		change func(*survey)
		want   string // a problem; empty for none
		notice string
	}{
		"well":      {func(*survey) {}, "", ""},
		"stopped":   {vip(func(i *crm.Instance) { i.Role, i.Node = crm.RoleStopped, "" }), "n1: pgsql-vip runs nowhere, and is to run here, with the primary (crm_resource --why -r pgsql-vip)", ""},
		"starts":    {vip(func(i *crm.Instance) { i.Role, i.Node, i.Pending = crm.RoleStopped, "", "Starting" }), "", "pgsql-vip: Starting"},
		"elsewhere": {vip(func(i *crm.Instance) { i.Node = "n3" }), "pgsql-vip runs on n3, and is to run here", ""},
		"elsewhere, and may": {func(f *survey) {
			vip(func(i *crm.Instance) { i.Node = "n3" })(f)
			f.cib.Colocations = slices.Clone(f.cib.Colocations)
			f.cib.Colocations[0].Score = 10
		}, "", "would better be here"},
		"failed":    {vip(func(i *crm.Instance) { i.Failed = true }), "pgsql-vip has failed", ""},
		"unmanaged": {vip(func(i *crm.Instance) { i.Managed = false }), "", "pgsql-vip is unmanaged"},
		"nobody fences": {func(f *survey) {
			for n := range f.state.Instances {
				if i := &f.state.Instances[n]; strings.HasPrefix(i.Agent, "stonith:") {
					i.Role = crm.RoleStopped
				}
			}
		}, "no fence device runs", ""},
		"move of what follows": {func(f *survey) {
			f.cib.Locations = []crm.Location{{ID: "cli-prefer-pgsql-vip", Resource: "pgsql-vip", Node: "n2", Score: crm.Infinity}}
		}, "", "n2: constraint cli-prefer-pgsql-vip of pgsql-vip, which runs with the primary, wants it on n2 (INFINITY) (crm_resource --clear -r pgsql-vip --node n2)"},
		"ban of what follows": {func(f *survey) {
			f.cib.Locations = []crm.Location{{ID: "mine", Resource: "pgsql-vip", Node: "n2", Score: -crm.Infinity}}
		}, "", "keeps it from n2"},
		"guard": {func(f *survey) { f.resource.Params["sync_guard"] = "false" }, "", "sync_guard=false"},
	} {
		f := situations(t)["healthy"]
		c.change(&f)
		v := assess(f)
		problems, notices := texts(v.Problems), texts(v.Notices)
		if c.want == "" {
			require.Empty(t, problems, name)
		} else {
			require.Len(t, problems, 1, name)
			require.Contains(t, problems[0], c.want, name)
		}
		if c.notice != "" {
			require.Contains(t, strings.Join(notices, "\n"), c.notice, name)
		}
	}
}

// The primary's connection to a node that is gone lives on until wal_sender_timeout: that node
// does not stream, and no commit is acknowledged by it.
func TestStatusOfANodeThatIsGone(t *testing.T) {
	gone := func(f *survey, how func(*crm.Node)) {
		for n := range f.state.Nodes {
			if f.state.Nodes[n].Name == "n3" {
				how(&f.state.Nodes[n])
			}
		}
		f.others["n3"] = silent(errSlow)
		primary := f.others["n1"]
		primary.report.SynchronousStandbyNames = "ANY 2 (n1, n2, n3)"
		f.others["n1"] = primary
	}
	state := func(v statusView) nodeState { return v.Nodes[2].State }
	for want, how := range map[nodeState]func(*crm.Node){
		stateUnclean: func(n *crm.Node) { n.Online, n.Unclean = false, true },
		stateOffline: func(n *crm.Node) { n.Online = false },
	} {
		f := situations(t)["healthy"]
		gone(&f, how)
		v := assess(f)
		require.Equal(t, want, state(v))
		problems := strings.Join(texts(v.Problems), "\n")
		require.Contains(t, problems, "n3: the node is ")
		require.Contains(t, problems, "commits hang: they wait for 2 of n2, n3, and 1 of these are connected, not counting those of n3, which wal_sender_timeout has not ended yet")
	}
	for name, left := range map[string]func(*survey){
		"all":          func(f *survey) { f.cib.Properties["maintenance-mode"] = "true" },
		"the node":     func(f *survey) { gone(f, func(n *crm.Node) { n.Maintenance = true }) },
		"the resource": func(f *survey) { f.resource.Meta["is-managed"] = "false" },
	} {
		f := situations(t)["healthy"]
		gone(&f, func(n *crm.Node) { n.Online = false })
		left(&f)
		v := assess(f)
		require.Equal(t, stateStreaming, state(v), "PostgreSQL runs on without Pacemaker, which leaves alone %s", name)
		require.NotContains(t, strings.Join(texts(v.Problems), "\n"), "commits hang", name)
	}
	f := situations(t)["healthy"]
	answers := f.others["n3"]
	gone(&f, func(n *crm.Node) { n.Unclean = true })
	f.others["n3"] = answers
	require.Equal(t, stateStreaming, state(assess(f)), "it says so itself")
	f = situations(t)["healthy"]
	gone(&f, func(n *crm.Node) { n.Online = false })
	primary := f.others["n1"]
	primary.report.Standbys[1].ApplicationName = "N3"
	require.Contains(t, strings.Join(texts(assess(f).Problems), "\n"), "not counting those of N3", "PostgreSQL takes no notice of case there")

	f = situations(t)["healthy"]
	for n := range f.state.Nodes {
		if f.state.Nodes[n].Name == "n1" { // its instance answers, by whatever way
			f.state.Nodes[n].Unclean = true
		}
	}
	require.Contains(t, strings.Join(texts(assess(f).Problems), "\n"), "n1: the node is lost and not fenced yet")
}

// A standby of a standby does not count, and is not a candidate.
func TestStatusOfAStandbyOfAStandby(t *testing.T) {
	text, err := os.ReadFile("../crm/testdata/healthy.cib.xml")
	require.NoError(t, err)
	f := situations(t)["healthy"]
	f.cib, err = crm.ParseCIB(strings.Replace(string(text), `name="master-pgsqld" value="990"`, `name="master-pgsqld" value="-1000"`, 1))
	require.NoError(t, err)
	notices := strings.Join(texts(assess(f).Notices), "\n")
	require.Contains(t, notices, "its next monitor looks again", "it streams from the primary")
	f.others["n1"] = primaryAt(at(2, 0x1742228), streamingAt("n2", 0x1742228))
	f.local.report.Standbys = []pg.StandbyReport{streamingAt("n3", 0x1742228)}
	require.Contains(t, strings.Join(texts(assess(f).Problems), "\n"), "n3: promotion score -1000: it streams from n2, and n1 is the primary")
	f.local.report.Standbys, f.others["n1"] = nil, silent(errPgHba) // nobody has a row of it: its receiver says an address
	require.NotContains(t, strings.Join(texts(assess(f).Problems), "\n"), "is the primary: no commit waits")
}

func eachInstance(f *survey, resource string, change func(*crm.Instance)) {
	for n := range f.state.Instances {
		if i := &f.state.Instances[n]; i.Resource == resource {
			change(i)
		}
	}
}

// Nobody is promoted because somebody has said so: that is the reason, and not that no
// instance runs.
func TestStatusOfWhatWasToldToStop(t *testing.T) {
	for name, change := range map[string]func(*survey){
		"its target-role is Stopped": func(f *survey) { f.resource.Meta["target-role"] = "Stopped" },
		"stop-all-resources":         func(f *survey) { f.cib.Properties["stop-all-resources"] = "true" },
	} {
		f := situations(t)["healthy"]
		f.local, f.others = silent(errNobody), map[string]answer{"n1": silent(errNobody), "n3": silent(errNobody)}
		f.state.Instances = slices.DeleteFunc(f.state.Instances, func(i crm.Instance) bool { return i.Resource == "pgsqld" || i.Resource == "pgsql-vip" })
		change(&f)
		found := strings.Join(texts(assess(f).Problems), "\n")
		require.Contains(t, found, name)
		require.Contains(t, found, "no node is promoted")
		require.NotContains(t, found, "PostgreSQL does not run there")
	}
}

// A terminal of 80 columns is wide enough, and one of few rows shows the table.
func TestStatusOnASmallTerminal(t *testing.T) {
	for name, f := range situations(t) {
		text := assess(f).text(newStyle(Process{Terminal: true, Columns: narrowColumns, Environ: []string{"NO_COLOR=1"}}))
		table, _, _ := strings.Cut(text, "\n\nCluster")
		for line := range strings.Lines(table) {
			require.LessOrEqual(t, len([]rune(strings.TrimRight(line, "\n"))), narrowColumns, "%s: %s", name, line)
		}
	}
	s := style{moves: true}
	text := "1\n2\n3\n4\n"
	require.Equal(t, "\x1b[H\x1b[J"+text, s.anew(text, 5))
	require.Equal(t, "\x1b[H\x1b[J1\n2\n... 2 lines more: pgsqlms status", s.anew(text, 4))
	require.Equal(t, text, style{}.anew(text, 3), "a terminal that knows no way to its top")
	require.False(t, newStyle(Process{Terminal: true, Environ: []string{"TERM=dumb"}}).moves)
}

// After a cleanup Pacemaker knows of no instance on the node until it has probed there: nobody has promoted anything by hand.
func TestStatusAfterACleanup(t *testing.T) {
	text, err := os.ReadFile("../crm/testdata/healthy.cib.xml")
	require.NoError(t, err)
	f := situations(t)["healthy"]
	eachInstance(&f, "pgsqld", func(i *crm.Instance) {
		if i.Node == "n1" {
			i.Role, i.Node = crm.RoleStopped, ""
		}
	})
	require.Contains(t, strings.Join(texts(assess(f).Problems), "\n"), "n1: PostgreSQL is a primary there, and Pacemaker has not promoted it")
	before, after, _ := strings.Cut(string(text), `<node_state id="1" uname="n1"`)
	history := regexp.MustCompile(`(?s)<lrm_resource id="pgsqld".*?</lrm_resource>`)
	end := strings.Index(after, "</node_state>")
	f.cib, err = crm.ParseCIB(before + `<node_state id="1" uname="n1"` + history.ReplaceAllString(after[:end], "") + after[end:])
	require.NoError(t, err)
	v := assess(f)
	require.NotContains(t, strings.Join(texts(v.Problems), "\n"), "Pacemaker has not promoted it")
	require.Contains(t, strings.Join(texts(v.Notices), "\n"), "n1: Pacemaker looks at the instance anew")
}
