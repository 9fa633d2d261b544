package main

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"pgsqlms/test/lab"
	"pgsqlms/test/scenario"
)

// budget is one thing that this agent may cost, and what it does.
type budget struct {
	What    string `json:"what"`
	System  string `json:"system"`
	Found   string `json:"found"`
	Verdict string `json:"verdict"`
}

// Verdicts of a budget.
const (
	met         = "met"
	notMet      = "not met"
	notMeasured = "not measured"
)

// ours says whether an agent is one that is under test: a file, and nothing that comes with the nodes.
func (a agent) ours() bool { return !slices.Contains(lab.PackagedAgents(), a.Path) }

// peer is what a packaged system is called with the settings of an agent.
func (a agent) peer(name string) string {
	if a.Settings == equal {
		return name + " " + equal
	}
	return name
}

// judged makes a budget of a figure that has a limit. NaN was not measured.
func judged(what string, a agent, found float64, ok bool, format string, args ...any) budget {
	b := budget{What: what, System: a.Name, Found: "-", Verdict: notMeasured}
	if math.IsNaN(found) {
		return b
	}
	b.Found, b.Verdict = fmt.Sprintf(format, args...), notMet
	if ok {
		b.Verdict = met
	}
	return b
}

// budgets are those of the agents under test, with their recommended settings. Detection has to be equal only for the
// comparison with Patroni, which notices the loss of a node by other means.
func (r *report) budgets() []budget {
	var all []budget
	for _, a := range r.Agents {
		switch {
		case !a.ours():
		case a.Settings == recommended:
			all = append(all, r.monitorBudgets(a)...)
			all = append(all, r.gapBudgets(a)...)
			all = append(all, r.growthBudgets(a)...)
		default:
			all = append(all, r.patroniBudgets(a)...)
		}
	}
	return all
}

func (r *report) monitorBudgets(a agent) []budget {
	var all []budget
	for _, role := range []string{"primary", "standby"} {
		what := "healthy monitor, " + role + ": "
		q := ratio(r.monitorStats(role, a.Name, cpuSeconds), r.monitorStats(role, a.peer(lab.AgentPAF), cpuSeconds))
		all = append(all, judged(what+"CPU at most 1/20 of PAF's", a, q, q <= 1.0/20, "1/%.0f", 1/q))
		forks := most(r.monitorStats(role, a.Name, func(m monitorFigures) float64 { return float64(m.Forks) }))
		all = append(all, judged(what+"no forked process", a, forks, forks == 0, "%.0f", forks))
		peak := most(r.monitorStats(role, a.Name, func(m monitorFigures) float64 { return m.PeakMB }))
		all = append(all, judged(what+"peak memory under 25 MB", a, peak, peak < 25, "%.1f MB", peak))
	}
	var shares []float64
	for _, f := range r.Instances {
		if f.Agent == a.Name {
			shares = append(shares, (f.With-f.Without)/float64(f.Instances))
		}
	}
	share := most(summarize(shares))
	own := r.monitorStats("primary", a.Name, cpuSeconds)
	ownShare := math.NaN()
	if own.N > 0 {
		ownShare = own.Median
	}
	return append(all,
		judged("a monitor every second under 1 % of a core: the agent's own", a, ownShare, ownShare < 0.01, "%.2f %%", 100*ownShare),
		judged("the same with what Pacemaker and PostgreSQL do for it, an instance", a, share, share < 0.01, "%.2f %% at most", 100*share))
}

// most is the largest figure; NaN when there is none.
func most(s summary) float64 {
	if s.N == 0 {
		return math.NaN()
	}
	return s.Max
}

func (r *report) gapBudgets(a agent) []budget {
	gap := func(what, agent string) summary {
		return summarize(r.over(what, agent, func(f faultFigures) (float64, bool) { return f.Gap, true }))
	}
	share := func(text, what, of string, limit float64) budget {
		q := ratio(gap(what, a.Name), gap(what, of))
		return judged(text, a, q, q <= limit, "%.2f", q)
	}
	paf := a.peer(lab.AgentPAF)
	crash := most(summarize(r.over(whatKillPG, a.Name, func(f faultFigures) (float64, bool) {
		return f.Gap - f.Interval - f.Split["start"], f.Split != nil
	})))
	loss := most(summarize(r.over(whatKillNode, a.Name, func(f faultFigures) (float64, bool) {
		if f.Loss == nil || !f.Loss.complete() || f.Corosync == nil {
			return 0, false
		}
		return f.Gap - f.Corosync.Token - f.Loss.fencing(), true
	})))
	dirty, clean := gap(whatKillNodeDirty, a.Name), gap(whatKillNodeClean, a.Name)
	more := math.NaN()
	if dirty.N > 0 && clean.N > 0 {
		more = dirty.Median - clean.Median
	}
	return []budget{
		r.all(share("switchover: at most 1.5 times the floor", whatSwitchover, floorName, 1.5), whatSwitchover),
		r.all(share("switchover: at most a third of PAF's", whatSwitchover, paf, 1.0/3), whatSwitchover),
		r.all(share("switchover under load: at most a third of PAF's", whatSwitchoverLoad, paf, 1.0/3), whatSwitchoverLoad),
		r.all(judged(fmt.Sprintf("postmaster killed: interval of the monitor + crash recovery + %.1f s at most", slack), a, crash, crash <= slack,
			"%.2f s beside both at most", crash), whatKillPG),
		r.all(judged(fmt.Sprintf("node lost: token + fencing + %.1f s at most", slack), a, loss, loss <= slack,
			"%.2f s beside both at most", loss), whatKillNode),
		r.all(judged("node lost with dirty buffers on the voters: within 1 s of the one without", a, more, more <= 1,
			"%+.2f s, %.0f MB dirty at least", more, r.leastDirty(a.Name)), whatKillNodeDirty, whatKillNodeClean),
	}
}

// all does not let a budget be met where one of the faults it is of was never over.
func (r *report) all(b budget, whats ...string) budget {
	failed := 0
	for _, f := range r.Faults {
		if f.Agent == b.System && slices.Contains(whats, f.What) && !f.Measured {
			failed++
		}
	}
	if failed > 0 {
		b.Found, b.Verdict = fmt.Sprintf("%s, and %d without an end", b.Found, failed), notMet
	}
	return b
}

// leastDirty is the least that a standby had in its buffers when the node was lost, in MB.
func (r *report) leastDirty(agent string) float64 {
	return summarize(r.over(whatKillNodeDirty, agent, func(f faultFigures) (float64, bool) {
		standbys := maps.Clone(f.Dirty)
		delete(standbys, f.Before)
		least := summarize(slices.Collect(maps.Values(standbys)))
		return least.Min, least.N > 0
	})).Min
}

// over are figures of each measured fault of a kind.
func (r *report) over(what, agent string, of func(faultFigures) (float64, bool)) []float64 {
	var figures []float64
	for _, f := range r.Faults {
		if f.What != what || f.Agent != agent || !f.Measured {
			continue
		}
		if v, ok := of(f); ok {
			figures = append(figures, v)
		}
	}
	return figures
}

func (r *report) growthBudgets(a agent) []budget {
	var all []budget
	for _, what := range []string{whatSwitchover, whatKillNode} {
		_, elections := r.growthOf(what, a.Name)
		slope := math.NaN()
		if len(elections) > 1 {
			slope = elections.slope()
		}
		all = append(all, judged("election of a "+what+": less than 50 ms more a node", a, slope, slope < 0.05, "%.0f ms", slope*1000))
	}
	return all
}

func (r *report) patroniBudgets(a agent) []budget {
	var all []budget
	for _, what := range slices.Concat(light, heavy) {
		if what == whatMonitor {
			continue
		}
		gap := func(agent string) summary {
			return summarize(r.over(what, agent, func(f faultFigures) (float64, bool) { return f.Gap, true }))
		}
		q := ratio(gap(a.Name), gap(a.peer(lab.AgentPatroni)))
		all = append(all, r.all(judged(what+": ahead of Patroni at equal detection settings", a, q, q < 1, "%.2f", q), what))
	}
	return all
}

// budgetsText tells which budgets are met.
func (r *report) budgetsText() string {
	if len(r.Budgets) == 0 {
		return ""
	}
	var cells [][]string
	for _, b := range r.Budgets {
		cells = append(cells, []string{b.What, b.System, strings.TrimSpace(b.Found), b.Verdict})
	}
	return "\nBudgets. Ratios and differences are of medians; what each fault has to keep is told of the worst.\n\n" +
		scenario.Table([]string{"budget", "system", "found", "verdict"}, cells)
}
