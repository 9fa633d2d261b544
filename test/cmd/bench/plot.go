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
)

// plotColours are for the systems, in the order in which they were given.
var plotColours = []string{"#2b6cb0", "#c05621", "#6b46c1", "#2f855a", "#718096", "#b7791f", "#97266d", "#285e61", "#744210", "#4a5568"}

// plot draws the write gaps: for each fault a bar to the median of every system, and a line from the shortest to the
// longest. Every fault has a scale of its own.
func (r *report) plot() string {
	var b strings.Builder
	y := plotMargin
	text := func(x, y int, anchor, weight, s string) {
		fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="%s" font-weight="%s">%s</text>`+"\n", x, y, anchor, weight, html.EscapeString(s))
	}
	text(plotMargin, y+12, "start", "bold", "How long nobody could write: median, and from the shortest to the longest")
	y += plotTitle
	for _, what := range everything {
		rows := r.gapsOf(what)
		if len(rows) == 0 {
			continue
		}
		longest := 0.0
		for _, one := range rows {
			longest = max(longest, one.Stats.Max)
		}
		text(plotMargin, y+14, "start", "bold", what)
		y += plotTitle
		x := func(s float64) float64 { return plotLeft + s/longest*(plotWidth-plotLeft-plotRight) }
		for _, one := range rows {
			middle := y + plotBar/2
			text(plotLeft-8, y+13, "end", "normal", one.Agent)
			fmt.Fprintf(&b, `<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/>`+"\n",
				plotLeft, y, x(one.Stats.Median)-plotLeft, plotBar, r.colour(one.Agent))
			fmt.Fprintf(&b, `<path d="M%.1f %d H%.1f M%.1f %d v8 M%.1f %d v8" stroke="#1a202c" fill="none"/>`+"\n",
				x(one.Stats.Min), middle, x(one.Stats.Max), x(one.Stats.Min), middle-4, x(one.Stats.Max), middle-4)
			text(plotWidth-plotRight+8, y+13, "start", "normal",
				fmt.Sprintf("%s (%s to %s), n %d", seconds(one.Stats.Median), seconds(one.Stats.Min), seconds(one.Stats.Max), one.Stats.N))
			y += plotRow
		}
		y += plotMargin
	}
	for _, run := range r.Runs {
		text(plotMargin, y+12, "start", "normal", run.Command)
		y += plotTitle
	}
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %[1]d %[2]d" font-family="sans-serif" font-size="12">`+"\n"+
		`<rect width="100%%" height="100%%" fill="white"/>`+"\n%s</svg>\n", plotWidth, y, b.String())
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
