package operator

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"pgsqlms/internal/crm"
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
