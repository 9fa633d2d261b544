package main

import (
	"fmt"
	"html"
	"strings"
)

// Measures of the plot, in pixels.
const (
	plotWidth  = 900
	plotLeft   = 150 // names of the systems
	plotRight  = 190 // figures in words
	plotBar    = 16
	plotRow    = 22
	plotTitle  = 26
	plotMargin = 12
	plotLetter = 7 // of the commands below, about
)

// plotColours are for the systems, in the order in which they were given.
var plotColours = []string{"#2b6cb0", "#c05621", "#6b46c1", "#2f855a", "#718096", "#b7791f", "#97266d", "#285e61", "#744210", "#4a5568"}

// plotter is a plot that grows downwards.
type plotter struct {
	strings.Builder
	y int
	r *report
}

func (p *plotter) text(x, y int, anchor, weight, s string) {
	fmt.Fprintf(p, `<text x="%d" y="%d" text-anchor="%s" font-weight="%s">%s</text>`+"\n", x, y, anchor, weight, html.EscapeString(s))
}

func (p *plotter) title(s string) {
	p.text(plotMargin, p.y+14, "start", "bold", s)
	p.y += plotTitle
}

// rows are bars to the median of every system, each with a line from the least to the most, on a scale of their own.
func (p *plotter) rows(title string, rows []row, shown func(float64) string) {
	if len(rows) == 0 {
		return
	}
	most := 0.0
	for _, one := range rows {
		most = max(most, one.Stats.Max)
	}
	p.title(title)
	x := func(s float64) float64 { return plotLeft + s/most*(plotWidth-plotLeft-plotRight) }
	for _, one := range rows {
		middle := p.y + plotBar/2
		p.text(plotLeft-8, p.y+13, "end", "normal", one.Agent)
		fmt.Fprintf(p, `<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/>`+"\n",
			plotLeft, p.y, x(one.Stats.Median)-plotLeft, plotBar, p.r.colour(one.Agent))
		fmt.Fprintf(p, `<path d="M%.1f %d H%.1f M%.1f %d v8 M%.1f %d v8" stroke="#1a202c" fill="none"/>`+"\n",
			x(one.Stats.Min), middle, x(one.Stats.Max), x(one.Stats.Min), middle-4, x(one.Stats.Max), middle-4)
		p.text(plotWidth-plotRight+8, p.y+13, "start", "normal",
			fmt.Sprintf("%s (%s to %s), n %d", shown(one.Stats.Median), shown(one.Stats.Min), shown(one.Stats.Max), one.Stats.N))
		p.y += plotRow
	}
	p.y += plotMargin
}

// paragraph is text in as many lines as it needs.
func (p *plotter) paragraph(s string) {
	const letters = (plotWidth - 2*plotMargin) / plotLetter
	for s != "" {
		at := len(s)
		if at > letters {
			at = max(strings.LastIndexAny(s[:letters], " ,"), letters/2) + 1
		}
		p.text(plotMargin, p.y+12, "start", "normal", s[:at])
		p.y += plotRow
		s = s[at:]
	}
}

// plot draws the write gaps, the CPU time of a monitor, and how both grow; and says by which commands it was made.
func (r *report) plot() string {
	p := &plotter{y: plotMargin, r: r}
	p.title("How long nobody could write: median, and from the shortest to the longest")
	for _, what := range everything {
		p.rows(what, r.gapsOf(what), seconds)
	}
	for _, role := range []string{"primary", "standby"} {
		p.rows("CPU time of a healthy monitor of a "+role, r.cpuRows(role), finely)
	}
	for _, what := range []string{whatSwitchover, whatKillNode} {
		p.rows("Election of a "+what+", by the number of nodes", r.electionRows(what), seconds)
	}
	commands := r.Joined
	if commands == "" && len(r.Runs) > 0 {
		commands = r.Runs[0].Command
	}
	p.paragraph("Made by: " + commands)
	if r.Joined != "" {
		for _, run := range r.Runs {
			p.paragraph("Measured by: " + run.Command)
		}
	}
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %[1]d %[2]d" font-family="sans-serif" font-size="12">`+"\n"+
		`<rect width="100%%" height="100%%" fill="white"/>`+"\n%s</svg>\n", plotWidth, p.y, p.String())
}

func finely(s float64) string { return fmt.Sprintf("%.1f ms", s*1000) }

// electionRows are the systems' elections, by the number of nodes.
func (r *report) electionRows(what string) []row {
	var rows []row
	for _, a := range r.Agents {
		_, elections := r.growthOf(what, a.Name)
		for _, nodes := range elections.sizes() {
			rows = append(rows, row{Agent: fmt.Sprintf("%s, %d", a.Name, nodes), Stats: summarize(elections[nodes])})
		}
	}
	return rows
}

// cpuRows are the systems' CPU times of a role's monitor.
func (r *report) cpuRows(role string) []row {
	var rows []row
	for _, a := range r.Agents {
		if s := r.monitorStats(role, a.Name, cpuSeconds); s.N > 0 {
			rows = append(rows, row{Agent: a.Name, Stats: s})
		}
	}
	return rows
}

// gapsOf are the rows of a fault that have a figure.
func (r *report) gapsOf(what string) []row {
	var rows []row
	for _, a := range r.Agents {
		if one, ok := r.faultRow(what, a); ok && one.Stats.N > 0 {
			rows = append(rows, one)
		}
	}
	return rows
}

func (r *report) colour(name string) string {
	for i, a := range r.Agents {
		if a.Name == name {
			return plotColours[i%len(plotColours)]
		}
	}
	return plotColours[0]
}
