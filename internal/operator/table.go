package operator

import (
	"strings"
	"unicode/utf8"
)

// cell is one field of a table.
type cell struct {
	text  string
	color color
}

// color is how a field or a word stands out on a terminal.
type color string

const (
	plain  color = ""
	green  color = "32"
	yellow color = "33"
	red    color = "31"
	bold   color = "1"
)

// style is what the text is written for.
type style struct {
	colors  bool
	columns int // at most so wide; see newStyle
}

// The widths that text is written for: what a terminal has, between these two, and
// the lower one where there is no terminal.
const (
	leastColumns = 100
	mostColumns  = 120
)

func newStyle(p Process) style {
	s := style{colors: p.Terminal, columns: min(max(p.Columns, leastColumns), mostColumns)}
	for _, kv := range p.Environ {
		// https://no-color.org: present and not empty, whatever its value.
		if v, found := strings.CutPrefix(kv, "NO_COLOR="); found && v != "" {
			s.colors = false
		}
		if kv == "TERM=dumb" {
			s.colors = false
		}
	}
	return s
}

func (s style) paint(text string, c color) string {
	if !s.colors || c == plain || text == "" {
		return text
	}
	return "\x1b[" + string(c) + "m" + text + "\x1b[0m"
}

// table writes rows under a heading, each column as wide as its widest field. Columns of
// which no row has anything are left out.
func (s style) table(b *strings.Builder, heading []string, right []bool, rows [][]cell) {
	widths := make([]int, len(heading))
	for n := range heading {
		for _, row := range rows {
			widths[n] = max(widths[n], utf8.RuneCountInString(row[n].text))
		}
		if widths[n] > 0 {
			widths[n] = max(widths[n], utf8.RuneCountInString(heading[n]))
		}
	}
	head := make([]cell, len(heading))
	for n, text := range heading {
		head[n] = cell{text, bold}
	}
	for _, row := range append([][]cell{head}, rows...) {
		b.WriteString(strings.TrimRight(s.line(row, widths, right), " ") + "\n")
	}
}

func (s style) line(row []cell, widths []int, right []bool) string {
	var b strings.Builder
	for n, c := range row {
		if widths[n] == 0 {
			continue
		}
		gap := strings.Repeat(" ", widths[n]-utf8.RuneCountInString(c.text))
		switch text := s.paint(c.text, c.color); {
		case right[n]:
			b.WriteString(gap + text)
		default:
			b.WriteString(text + gap)
		}
		b.WriteString("  ")
	}
	return b.String()
}
