package main

import (
	"context"
	"fmt"
	"slices"

	"pgsqlms/test/scenario"
)

// growthTurn plays a switchover and the loss of the primary's node on clusters of several sizes. Replication is
// asynchronous: with two nodes and a lost one nobody is left to confirm a commit, which is no matter of the cluster's size.
func (s *series) growthTurn(ctx context.Context, turn int, a agent, _ []string) []error {
	var failed []error
	for _, nodes := range s.options.nodes {
		config := s.options.configOf(a)
		config.Nodes, config.Sync = nodes, false
		for _, err := range s.onClusters(ctx, turn, a, config, []string{whatSwitchover, whatKillNode}) {
			failed = append(failed, fmt.Errorf("%d nodes: %w", nodes, err))
		}
	}
	return failed
}

// grown are the parts of a gap that an election is made of. What corosync and the fencing take is not of it.
var grown = []string{"notify", "agent", "promote", "cluster"}

// growthText tells how a gap, and the election in it, grow with the number of nodes.
func (r *report) growthText() string {
	if len(r.Growth) == 0 {
		return ""
	}
	var cells, slopes [][]string
	for _, a := range r.Agents {
		for _, what := range []string{whatSwitchover, whatKillNode} {
			gaps, elections := r.growthOf(what, a.Name)
			for _, nodes := range gaps.sizes() {
				gap, election := summarize(gaps[nodes]), summarize(elections[nodes])
				cells = append(cells, slices.Concat(
					[]string{what, a.Name, fmt.Sprint(nodes), fmt.Sprint(gap.N), seconds(gap.Median), seconds(gap.Min), seconds(gap.Max), orNothing(election)},
					r.electionParts(what, a.Name, nodes)))
			}
			if len(gaps) > 1 {
				slopes = append(slopes, []string{what, a.Name, milliseconds(gaps.slope()), milliseconds(elections.slope())})
			}
		}
	}
	text := "\nBy the number of nodes. The election is what notify, agent, promote and cluster have of the gap, see the split.\n\n" +
		scenario.Table(append([]string{"figure", "system", "nodes", "n", "gap, median", "min", "max", "election, median"}, grown...), cells)
	if len(slopes) > 0 {
		text += "\nFor each node more, by the line of least squares through the medians:\n\n" +
			scenario.Table([]string{"figure", "system", "gap", "election"}, slopes)
	}
	return text
}

// electionParts are the medians of what an election is made of.
func (r *report) electionParts(what, agent string, nodes int) []string {
	var parts []string
	for _, part := range grown {
		figures := r.byNodes(what, agent, func(f faultFigures) (float64, bool) { return f.Split[part], f.Split != nil })
		parts = append(parts, orNothing(summarize(figures[nodes])))
	}
	return parts
}

// growthOf are the gaps of a fault, and the elections in them, by the number of nodes.
func (r *report) growthOf(what, agent string) (gaps, elections points) {
	return r.byNodes(what, agent, func(f faultFigures) (float64, bool) { return f.Gap, true }),
		r.byNodes(what, agent, func(f faultFigures) (float64, bool) { return f.election(), f.Split != nil })
}

// byNodes are figures of each measured fault of a kind, by the number of nodes.
func (r *report) byNodes(what, agent string, of func(faultFigures) (float64, bool)) points {
	by := points{}
	for _, f := range r.Growth {
		if f.Agent != agent || f.What != what || !f.Measured {
			continue
		}
		if v, ok := of(f); ok {
			by[f.Nodes] = append(by[f.Nodes], v)
		}
	}
	return by
}

func (f faultFigures) election() float64 {
	sum := 0.0
	for _, part := range grown {
		sum += f.Split[part]
	}
	return sum
}

func orNothing(s summary) string {
	if s.N == 0 {
		return "-"
	}
	return seconds(s.Median)
}

func milliseconds(s float64) string { return fmt.Sprintf("%.0f ms", s*1000) }

// points are figures by the number of nodes.
type points map[int][]float64

func (p points) sizes() []int {
	var sizes []int
	for n := range p {
		sizes = append(sizes, n)
	}
	slices.Sort(sizes)
	return sizes
}

// slope is that of the line of least squares through the medians; 0 where there is no line.
func (p points) slope() float64 {
	if len(p) < 2 {
		return 0
	}
	var meanX, meanY, over, under float64
	for n, figures := range p {
		meanX += float64(n) / float64(len(p))
		meanY += summarize(figures).Median / float64(len(p))
	}
	for n, figures := range p {
		dx := float64(n) - meanX
		over += dx * (summarize(figures).Median - meanY)
		under += dx * dx
	}
	return over / under
}
