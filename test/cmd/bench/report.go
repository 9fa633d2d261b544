package main

import (
	"fmt"
	"math"
	"runtime"
	"strings"
	"time"

	"pgsqlms/test/lab"
	"pgsqlms/test/scenario"
)

// report is everything that was measured, as it is saved.
type report struct {
	Command  string           `json:"command"`
	Begun    time.Time        `json:"begun"`
	CPUs     int              `json:"cpus"`
	Suite    string           `json:"suite"`
	Sync     bool             `json:"synchronous"`
	Token    float64          `json:"token"`    // as configured
	Corosync corosyncFigures  `json:"corosync"` // in effect
	Agents   []agent          `json:"agents"`
	Rows     []row            `json:"summary"`
	Faults   []faultFigures   `json:"faults"`
	Monitors []monitorFigures `json:"monitors"`
}

// row is one line of the summary: one figure of one agent.
type row struct {
	Figure string  `json:"figure"`
	Agent  string  `json:"agent"`
	Unit   string  `json:"unit"`
	Stats  summary `json:"stats"`
	// RatioToPAF is this median over PAF's; absent when there is none.
	RatioToPAF *float64 `json:"ratio_to_paf,omitempty"`
	Failed     int      `json:"failed"`
	Lost       int      `json:"lost"`
}

func newReport(args []string, o options) *report {
	return &report{Command: strings.Join(args, " "), Begun: time.Now().UTC().Truncate(time.Second), CPUs: runtime.NumCPU(),
		Suite: o.suite, Sync: o.sync, Agents: o.agents}
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
		for _, kind := range []string{"CPU", "wall"} {
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
	for _, paf := range rows {
		if paf.Agent != lab.AgentPAF {
			continue
		}
		for i := range rows {
			if q := ratio(rows[i].Stats, paf.Stats); !math.IsNaN(q) {
				rows[i].RatioToPAF = &q
			}
		}
	}
	return rows
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

func (r *report) monitorRow(role, kind string, a agent) (row, bool) {
	var figures []float64
	for _, m := range r.Monitors {
		if m.Role != role || m.Agent != a.Name {
			continue
		}
		seconds := m.Wall
		if kind == "CPU" {
			seconds = m.CPU
		}
		figures = append(figures, seconds*1000)
	}
	return row{Figure: fmt.Sprintf("monitor, %s, %s", role, kind), Agent: a.Name, Unit: "ms", Stats: summarize(figures)},
		len(figures) > 0
}

// text is the report for a reader.
func (r *report) text() string {
	r.Rows = r.summary()
	var b strings.Builder
	replication := "asynchronous"
	if r.Sync {
		replication = "synchronous (ANY 1)"
	}
	fmt.Fprintf(&b, "\nMeasured by: %s\n%s, begun %s, %d CPUs, %s replication, token %.1f s\n\n",
		r.Command, r.Suite, r.Begun.Format(time.RFC3339), r.CPUs, replication, r.Token)
	header := []string{"figure", "agent", "n", "median", "min", "max", "ratio to PAF", "failed", "lost rows"}
	var cells [][]string
	for _, one := range r.Rows {
		cells = append(cells, one.cells())
	}
	b.WriteString(scenario.Table(header, cells))
	b.WriteString(r.lossText())
	b.WriteString(r.complaintsText())
	return b.String()
}

func (o row) cells() []string {
	q := "-"
	if o.RatioToPAF != nil {
		q = fmt.Sprintf("%.3f", *o.RatioToPAF)
	}
	figure := func(v float64) string {
		if o.Stats.N == 0 {
			return "-"
		}
		if o.Unit == "ms" {
			return fmt.Sprintf("%.1f ms", v)
		}
		return fmt.Sprintf("%.2f s", v)
	}
	return []string{o.Figure, o.Agent, fmt.Sprint(o.Stats.N), figure(o.Stats.Median), figure(o.Stats.Min), figure(o.Stats.Max),
		q, fmt.Sprint(o.Failed), fmt.Sprint(o.Lost)}
}

// complaintsText names what went wrong.
func (r *report) complaintsText() string {
	var b strings.Builder
	for _, f := range r.Faults {
		for _, text := range append(f.Complaints, f.Error) {
			if text != "" {
				fmt.Fprintf(&b, "\n%s, %s, turn %d: %s", f.Agent, f.What, f.Turn, text)
			}
		}
	}
	if b.Len() > 0 {
		b.WriteString("\n")
	}
	return b.String()
}

// save writes the report to a file, if one is named.
func (r *report) save(path string) error {
	return scenario.SaveJSON(path, r)
}
