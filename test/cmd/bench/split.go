package main

import (
	"fmt"

	"pgsqlms/test/scenario"
)

// splitText tells where the gaps went, for each run and as medians. A run that says nothing of itself in Pacemaker's log,
// as with Patroni, still has what PostgreSQL's log tells.
func (r *report) splitText() string {
	var cells [][]string
	for _, what := range everything {
		for _, a := range r.Agents {
			cells = append(cells, r.splitRows(what, a)...)
		}
	}
	if len(cells) == 0 {
		return ""
	}
	header := append([]string{"figure", "system", "turn", "gap"}, scenario.Parts...)
	header = append(header, "transitions")
	return "\nWhere the gaps went, by the logs of Pacemaker and PostgreSQL. Stop, start and promote are PostgreSQL's own; agent is\n" +
		"the rest of the agent's operations, cluster the time in which nothing was under way, client the time after the address\n" +
		"until its row was written, standby what that waited for a standby to stream from the new primary. Transitions are those\n" +
		"that Pacemaker calculated from the fault until the gap's end.\n\n" +
		scenario.Table(header, cells)
}

func (r *report) splitRows(what string, a agent) [][]string {
	var rows [][]string
	var gaps, transitions []float64
	parts := map[string][]float64{}
	for _, f := range r.Faults {
		if f.What != what || f.Agent != a.Name || !f.Measured || f.Split == nil {
			continue
		}
		row := []string{what, a.Name, r.turn(f.Run, f.Turn), seconds(f.Gap)}
		for _, part := range scenario.Parts {
			row = append(row, seconds(f.Split[part]))
			parts[part] = append(parts[part], f.Split[part])
		}
		row = append(row, count(f.Transitions))
		transitions = append(transitions, float64(f.Transitions))
		rows, gaps = append(rows, row), append(gaps, f.Gap)
	}
	if len(rows) < 2 {
		return rows
	}
	medians := []string{what, a.Name, "median", seconds(summarize(gaps).Median)}
	for _, part := range scenario.Parts {
		medians = append(medians, seconds(summarize(parts[part]).Median))
	}
	return append(rows, append(medians, count(summarize(transitions).Median)))
}

// count is a number of transitions; where there is no Pacemaker, there are none.
func count[T int | float64](n T) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprint(n)
}
