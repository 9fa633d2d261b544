package faults

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"pgsqlms/test/scenario"
)

// Report is everything that was run.
type Report struct {
	Command string    `json:"command"`
	Begun   time.Time `json:"begun"`
	Seed    uint64    `json:"seed"`
	Suite   string    `json:"suite"`
	Monitor float64   `json:"monitor_interval_seconds"`
	Runs    []Run     `json:"runs"`
}

// Outcomes of a run, the worst first.
const (
	OutcomeLost     = "lost"     // acknowledged rows are gone
	OutcomeSplit    = "split"    // two nodes acknowledged
	OutcomeWrong    = "wrong"    // the promoted node did not hold the most
	OutcomeStuck    = "stuck"    // it does not go on without a person
	OutcomeFenced   = "fenced"   // a node was fenced that need not have been
	OutcomeDiverged = "diverged" // an instance that has left the primary's history is not seen
	OutcomeNeedless = "needless" // a restart or failover that was not needed
	OutcomeLate     = "late"     // beyond the budget
	OutcomeSilent   = "silent"   // an action failed without a reason, or was not refused
	OutcomeError    = "error"    // it could not be played
	OutcomeGood     = "ok"
)

// Outcome is the worst that happened, in one word.
func (r Run) Outcome() string {
	breached := map[Invariant]bool{}
	fenced := false
	for _, b := range r.Breaches() {
		breached[b.Invariant] = true
		fenced = fenced || b.Invariant == I7 && strings.Contains(b.Text, "was fenced")
	}
	for _, step := range []struct {
		is   bool
		name string
	}{
		{breached[I1], OutcomeLost}, {breached[I2], OutcomeSplit}, {breached[I3], OutcomeWrong},
		{breached[I5] || breached[I6] && r.GapOpen, OutcomeStuck}, {fenced, OutcomeFenced}, {breached[I4], OutcomeDiverged},
		{breached[I7], OutcomeNeedless}, {breached[I6], OutcomeLate}, {breached[I8], OutcomeSilent}, {r.Error != "", OutcomeError},
	} {
		if step.is {
			return step.name
		}
	}
	return OutcomeGood
}

// Lines are the run as it is printed when it is over.
func (r Run) Lines() []string {
	name := r.Fault
	if r.Variant != "" {
		name += " (" + r.Variant + ")"
	}
	gap := scenario.Seconds(time.Duration(r.Gap * float64(time.Second)))
	if r.GapOpen {
		gap = "> " + gap
	}
	lines := []string{fmt.Sprintf("%s, %s, %s, round %d, seed %d: %s; primary %s -> %s, write gap %s, %.0f s in all", name, r.Mode, r.Agent,
		r.Round, r.Seed, r.Outcome(), orDash(r.Before), orDash(r.After), gap, r.Took)}
	for _, f := range r.Findings {
		lines = append(lines, fmt.Sprintf("  %s  %s", f.Invariant, f.Figure))
		for _, b := range f.Breaches {
			lines = append(lines, "      BREACH: "+b.Text)
		}
	}
	if r.Error != "" {
		lines = append(lines, "  could not be played to its end: "+r.Error)
	}
	if r.Evidence != "" {
		lines = append(lines, "  evidence: "+r.Evidence)
	}
	return lines
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// Text is the report for a reader: one line for each scenario, mode and agent.
func (r *Report) Text() string {
	type key struct {
		fault string
		mode  Mode
		agent string
	}
	groups := map[key][]Run{}
	var order []key
	for _, run := range r.Runs {
		k := key{run.Fault, run.Mode, run.Agent}
		if groups[k] == nil {
			order = append(order, k)
		}
		groups[k] = append(groups[k], run)
	}
	var rows [][]string
	for _, k := range order {
		rows = append(rows, append([]string{k.fault, groups[k][0].Title, string(k.mode), k.agent}, cells(groups[k])...))
	}
	header := []string{"", "fault", "mode", "agent", "runs", "write gap", "range", "lost", "in doubt", "outcome", "breaches"}
	return scenario.Table(header, rows)
}

// cells are the figures of the runs of one kind.
func cells(runs []Run) []string {
	var gaps []float64
	lost, doubt := 0, 0
	outcomes, breaches := map[string]int{}, map[string]int{}
	for _, run := range runs {
		if !run.GapOpen && run.Gap > 0 {
			gaps = append(gaps, run.Gap)
		}
		lost += run.Counts.Lost
		doubt += run.Counts.InDoubt
		outcomes[run.Outcome()]++
		for _, b := range run.Breaches() {
			breaches[string(b.Invariant)]++
		}
	}
	median, spread := "-", "-"
	if len(gaps) > 0 {
		slices.Sort(gaps)
		median = fmt.Sprintf("%.1f s", (gaps[(len(gaps)-1)/2]+gaps[len(gaps)/2])/2)
		spread = fmt.Sprintf("%.1f to %.1f", gaps[0], gaps[len(gaps)-1])
	}
	none := strings.TrimSpace(counts(breaches))
	return []string{fmt.Sprint(len(runs)), median, spread, fmt.Sprint(lost), fmt.Sprint(doubt), strings.TrimSpace(counts(outcomes)), none}
}

// Breaches counts those of each invariant over all runs, and the runs that could not be played.
func (r *Report) Breaches() (total int, text string) {
	n := map[Invariant]int{}
	failed := 0
	for _, run := range r.Runs {
		for _, b := range run.Breaches() {
			n[b.Invariant]++
			total++
		}
		if run.Error != "" {
			failed++
			total++
		}
	}
	var parts []string
	for _, i := range Invariants {
		parts = append(parts, fmt.Sprintf("%s %d", i, n[i]))
	}
	return total, fmt.Sprintf("breaches: %s; not played to their end: %d", strings.Join(parts, ", "), failed)
}

// Save writes the report as JSON, if a file is named.
func (r *Report) Save(path string) error {
	return scenario.SaveJSON(path, r)
}
