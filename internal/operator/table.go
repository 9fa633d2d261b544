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
	moves   bool // the terminal knows how to begin again at its top
	columns int  // at most so wide; see newStyle
}

// The widths that text is written for: what a terminal has, between the first two, and
// the third where there is no terminal, or it does not say. A server's own console has 80.
const (
	narrowColumns = 80
	mostColumns   = 120
	leastColumns  = 100
)

func newStyle(p Process) style {
	s := style{colors: p.Terminal, moves: p.Terminal, columns: leastColumns}
	if p.Terminal && p.Columns > 0 {
		s.columns = min(max(p.Columns, narrowColumns), mostColumns)
	}
	for _, kv := range p.Environ {
		// https://no-color.org: present and not empty, whatever its value.
		if v, found := strings.CutPrefix(kv, "NO_COLOR="); found && v != "" {
			s.colors = false
		}
		if kv == "TERM=dumb" {
			s.colors, s.moves = false, false
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
// which no row has anything are left out, and where there is no room for all, those of the
// list, the first one first.
func (s style) table(b *strings.Builder, heading []string, right []bool, rows [][]cell, spare ...int) {
	widths := make([]int, len(heading))
	for n := range heading {
		for _, row := range rows {
			widths[n] = max(widths[n], utf8.RuneCountInString(row[n].text))
		}
		if widths[n] > 0 {
			widths[n] = max(widths[n], utf8.RuneCountInString(heading[n]))
		}
	}
	for _, n := range spare {
		if lineWidth(widths) > s.columns {
			widths[n] = 0
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

// lineWidth is how wide a line of a table is, with two blanks between its columns.
func lineWidth(widths []int) (sum int) {
	for _, width := range widths {
		if width > 0 {
			sum += width + 2
		}
	}
	return sum - 2
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
