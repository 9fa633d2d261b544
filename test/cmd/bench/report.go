package main

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"pgsqlms/test/lab"
	"pgsqlms/test/scenario"
)

// report is everything that was measured, by one run or by several, as it is saved.
type report struct {
	Joined    string                       `json:"joined,omitempty"` // the command that put several runs together
	Runs      []runFigures                 `json:"runs"`
	Settings  map[string]map[string]string `json:"settings"` // by system
	Agents    []agent                      `json:"agents"`
	Rows      []row                        `json:"summary"`
	Budgets   []budget                     `json:"budgets"`
	Faults    []faultFigures               `json:"faults"`
	Monitors  []monitorFigures             `json:"monitors"`
	Instances []instancesFigure            `json:"instances,omitempty"`
	Growth    []faultFigures               `json:"growth,omitempty"`
}

// row is one line of the summary: one figure of one agent.
type row struct {
	Figure string  `json:"figure"`
	Agent  string  `json:"agent"`
	Unit   string  `json:"unit"`
	Stats  summary `json:"stats"`
	// RatioToPAF is this median over PAF's with the same settings, RatioToFloor that over the floor's; absent when there is none.
	RatioToPAF   *float64 `json:"ratio_to_paf,omitempty"`
	RatioToFloor *float64 `json:"ratio_to_floor,omitempty"`
	Failed       int      `json:"failed"`
	Lost         int      `json:"lost"`
}

func newReport(args []string, o options) *report {
	run := runFigures{Command: strings.Join(args, " "), Begun: time.Now().UTC().Truncate(time.Second), Machine: thisMachine(),
		Suite: o.suite, Sync: o.sync, Versions: map[string]string{}}
	for _, a := range o.agents {
		if a.ours() {
			run.Versions[a.Name] = versionOf(a.Path)
		}
	}
	return &report{Runs: []runFigures{run}, Agents: o.agents, Settings: map[string]map[string]string{}}
}

// summary gives a row for each figure and agent that there is something of.
func (r *report) summary() []row {
	var rows []row
	for _, what := range everything {
		if what == whatMonitor {
			rows = append(rows, r.monitorRows()...)
			continue
		}
		rows = append(rows, r.compared(func(a agent) (row, bool) { return r.faultRow(what, a) })...)
	}
	return rows
}

func (r *report) monitorRows() []row {
	var rows []row
	for _, role := range []string{"primary", "standby"} {
		for _, kind := range monitorKinds {
			rows = append(rows, r.compared(func(a agent) (row, bool) { return r.monitorRow(role, kind, a) })...)
		}
	}
	return rows
}

// compared makes one figure's rows and sets their ratios to PAF's.
func (r *report) compared(of func(agent) (row, bool)) []row {
	var rows []row
	for _, a := range r.Agents {
		if one, ok := of(a); ok {
			rows = append(rows, one)
		}
	}
	for i, one := range rows {
		paf := lab.AgentPAF
		if r.settingsOf(one.Agent) == equal {
			paf += " " + equal
		}
		rows[i].RatioToPAF = ratioTo(rows, one, paf)
		rows[i].RatioToFloor = ratioTo(rows, one, floorName)
	}
	return rows
}

func (r *report) settingsOf(name string) string {
	for _, a := range r.Agents {
		if a.Name == name {
			return a.Settings
		}
	}
	return ""
}

// ratioTo is a row's median over that of the row of a name.
func ratioTo(rows []row, one row, name string) *float64 {
	for _, other := range rows {
		if other.Agent != name {
			continue
		}
		if q := ratio(one.Stats, other.Stats); !math.IsNaN(q) {
			return &q
		}
	}
	return nil
}

func (r *report) faultRow(what string, a agent) (row, bool) {
	var gaps []float64
	one := row{Figure: what + ", write gap", Agent: a.Name, Unit: "s"}
	found := false
	for _, f := range r.Faults {
		if f.What != what || f.Agent != a.Name {
			continue
		}
		found = true
		one.Lost += f.Lost
		if f.Error != "" {
			one.Failed++
		}
		if f.Measured {
			gaps = append(gaps, f.Gap)
		}
	}
	one.Stats = summarize(gaps)
	return one, found
}

func (r *report) monitorRow(role string, kind monitorKind, a agent) (row, bool) {
	stats := r.monitorStats(role, a.Name, kind.of)
	return row{Figure: fmt.Sprintf("monitor, %s, %s", role, kind.name), Agent: a.Name, Unit: kind.unit, Stats: stats}, stats.N > 0
}

// monitorStats are of one figure of a system's monitors in a role.
func (r *report) monitorStats(role, agent string, of func(monitorFigures) float64) summary {
	var figures []float64
	for _, m := range r.Monitors {
		if m.Role == role && m.Agent == agent {
			figures = append(figures, of(m))
		}
	}
	return summarize(figures)
}

func cpuSeconds(m monitorFigures) float64 { return m.CPU }

// monitorKind is one thing that a monitor costs.
type monitorKind struct {
	name, unit string
	of         func(monitorFigures) float64
}

var monitorKinds = []monitorKind{
	{"CPU", "ms", func(m monitorFigures) float64 { return m.CPU * 1000 }},
	{"wall", "ms", func(m monitorFigures) float64 { return m.Wall * 1000 }},
	{"peak memory", "MB", func(m monitorFigures) float64 { return m.PeakMB }},
	{"processes forked", "", func(m monitorFigures) float64 { return float64(m.Forks) }},
}

// text is the report for a reader.
func (r *report) text() string {
	r.Rows, r.Budgets = r.summary(), r.budgets()
	var b strings.Builder
	b.WriteString(r.runsText())
	header := []string{"figure", "system", "n", "median", "min", "max", "ratio to PAF", "ratio to floor", "failed", "lost rows"}
	var cells [][]string
	for _, one := range r.Rows {
		cells = append(cells, one.cells())
	}
	b.WriteString("\n" + scenario.Table(header, cells))
	for _, text := range []func() string{r.budgetsText, r.lossText, r.coordinatorText, r.splitText, r.instancesText, r.growthText,
		r.settingsText, r.versionsText, r.preparedText, r.complaintsText} {
		b.WriteString(text())
	}
	return b.String()
}

func (o row) cells() []string {
	q := func(ratio *float64) string {
		if ratio == nil {
			return "-"
		}
		return fmt.Sprintf("%.3f", *ratio)
	}
	figure := func(v float64) string {
		if o.Stats.N == 0 {
			return "-"
		}
		switch o.Unit {
		case "s":
			return fmt.Sprintf("%.2f s", v)
		case "":
			return fmt.Sprintf("%.0f", v)
		default:
			return fmt.Sprintf("%.1f %s", v, o.Unit)
		}
	}
	return []string{o.Figure, o.Agent, fmt.Sprint(o.Stats.N), figure(o.Stats.Median), figure(o.Stats.Min), figure(o.Stats.Max),
		q(o.RatioToPAF), q(o.RatioToFloor), fmt.Sprint(o.Failed), fmt.Sprint(o.Lost)}
}

// settingsText tells what decides how soon each system acts.
func (r *report) settingsText() string {
	var cells [][]string
	for _, a := range r.Agents {
		var pairs []string
		for _, name := range slices.Sorted(maps.Keys(r.Settings[a.Name])) {
			pairs = append(pairs, strings.TrimSpace(name)+" "+r.Settings[a.Name][name])
		}
		if len(pairs) > 0 {
			cells = append(cells, []string{a.Name, strings.Join(pairs, ", ")})
		}
	}
	if len(cells) == 0 {
		return ""
	}
	return "\nSettings:\n\n" + scenario.Table([]string{"system", "settings"}, cells)
}

// preparedText tells how much there was to write or to replay when a fault came.
func (r *report) preparedText() string {
	var cells [][]string
	for _, f := range r.Faults {
		for _, one := range []struct {
			what string
			by   map[string]float64
		}{{"dirty", f.Dirty}, {"not replayed", f.Backlog}} {
			if len(one.by) > 0 {
				cells = append(cells, []string{f.What, f.Agent, r.turn(f.Run, f.Turn), f.Before, one.what, scenario.Megabytes(one.by)})
			}
		}
	}
	if len(cells) == 0 {
		return ""
	}
	return "\nBefore the fault:\n\n" + scenario.Table([]string{"figure", "system", "turn", "primary", "what", "on each node"}, cells)
}

// complaintsText names what went wrong.
func (r *report) complaintsText() string {
	var b strings.Builder
	for _, f := range append(slices.Clone(r.Faults), r.Growth...) {
		for _, text := range append(f.Complaints, f.Error) {
			if text != "" {
				fmt.Fprintf(&b, "\n%s, %s, turn %s: %s", f.Agent, f.What, r.turn(f.Run, f.Turn), text)
			}
		}
	}
	if b.Len() > 0 {
		b.WriteString("\n")
	}
	return b.String()
}

// save writes the report to the files that are named, in every form.
func (r *report) save(o options) error {
	text := r.text()
	return errors.Join(scenario.SaveJSON(o.json, r), scenario.Save(o.markdown, []byte(text)), scenario.Save(o.svg, []byte(r.plot())))
}
