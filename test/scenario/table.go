package scenario

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// Header names the columns of Row.
var Header = []string{"scenario", "primary", "write gap", "acknowledged", "in doubt", "lost", "fencings", "all streaming after"}

// Row is the result as a line of the table.
func (r Result) Row() []string {
	gap, acknowledged, doubt, lost, streaming := "?", "?", "?", "?", "never"
	if r.judged {
		gap = Seconds(r.Gap.Length())
		if r.Gap.Open {
			gap = "> " + gap
		}
		acknowledged = fmt.Sprint(r.Verdict.Acknowledged)
		doubt = fmt.Sprint(r.Verdict.InDoubt)
		lost = fmt.Sprint(len(r.Verdict.Lost))
	}
	if r.Streaming > 0 {
		streaming = Seconds(r.Streaming)
	}
	return []string{r.Scenario, orDash(r.Before) + " -> " + orDash(r.After), gap, acknowledged, doubt, lost, r.fenced(), streaming}
}

func orDash(name string) string {
	if name == "" {
		return "-"
	}
	return name
}

// Seconds prints a duration the way the tables show it.
func Seconds(d time.Duration) string {
	if d < 10*time.Second {
		return fmt.Sprintf("%.2f s", d.Seconds())
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

// Table aligns columns: the first to the left, the others to the right when every cell in them begins with a digit or
// says that there is no figure.
func Table(header []string, rows [][]string) string {
	widths := columnWidths(append([][]string{header}, rows...))
	right := make([]bool, len(header))
	for i := range header {
		right[i] = i > 0 && allFigures(rows, i)
	}
	var text strings.Builder
	line := func(cells []string) {
		padded := make([]string, len(cells))
		for i, cell := range cells {
			padded[i] = pad(cell, widths[i], right[i])
		}
		text.WriteString(strings.TrimRight(strings.Join(padded, " | "), " ") + "\n")
	}
	line(header)
	var rules []string
	for _, width := range widths {
		rules = append(rules, strings.Repeat("-", width))
	}
	text.WriteString(strings.Join(rules, "-|-") + "\n")
	for _, row := range rows {
		line(row)
	}
	return text.String()
}

func columnWidths(rows [][]string) []int {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	return widths
}

func allFigures(rows [][]string, column int) bool {
	for _, row := range rows {
		cell := row[column]
		if cell == "" || cell == "-" || cell == "?" || cell == "never" {
			continue
		}
		if !strings.ContainsAny(cell[:1], "0123456789>") || strings.Contains(cell, "(") {
			return false
		}
	}
	return true
}

func pad(text string, width int, right bool) string {
	space := strings.Repeat(" ", width-utf8.RuneCountInString(text))
	if right {
		return space + text
	}
	return text + space
}
