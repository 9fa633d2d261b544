package operator

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"pgsqlms/internal/crm"
)

// clean makes text from anywhere fit for a terminal: one line, and what cannot be
// printed, or is no UTF-8, is a question mark. A standby may call itself anything, and
// would otherwise write to root's terminal.
func clean(s string) string {
	lines := strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' })
	return strings.Map(func(r rune) rune {
		if r == '\t' {
			return ' '
		}
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, strings.Join(lines, "; "))
}

// bytesText is a number of bytes, in steps of 1024, with three digits at most before the
// unit: "0 B", "824 kB", "3.2 GB".
func bytesText(n uint64) string {
	const step = 1024
	if n < step {
		return fmt.Sprintf("%d B", n)
	}
	value, unit := float64(n), 0
	units := []string{"B", "kB", "MB", "GB", "TB", "PB", "EB"}
	for value >= step && unit < len(units)-1 {
		value, unit = value/step, unit+1
	}
	if value < 10 {
		return fmt.Sprintf("%.1f %s", value, units[unit])
	}
	return fmt.Sprintf("%.0f %s", value, units[unit])
}

// durationText is a length of time in its two largest units: "0.2 s", "42 s", "3 m 20 s",
// "2 h 5 m", "4 d 3 h".
func durationText(d time.Duration) string {
	const day = 24 * time.Hour
	switch d = max(d, 0); {
	case d < 50*time.Millisecond:
		return "0 s"
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%.0f s", d.Truncate(time.Second).Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%d m %d s", d/time.Minute, d%time.Minute/time.Second)
	case d < day:
		return fmt.Sprintf("%d h %d m", d/time.Hour, d%time.Hour/time.Minute)
	}
	return fmt.Sprintf("%d d %d h", d/day, d%day/time.Hour)
}

// timeText is a moment in this machine's time zone; "-" for one that is not known.
func timeText(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Format("2006-01-02 15:04:05 MST")
}

// item writes text in lines of the terminal's width; those after the first are indented by
// two more.
func (s style) item(b *strings.Builder, indent, text string) {
	for n, part := range wrap(clean(text), s.columns-2-len(indent)) {
		b.WriteString(indent + strings.Repeat(" ", 2*min(n, 1)) + part + "\n")
	}
}

// wrap breaks text at blanks into lines of at most width characters, where a word is not
// longer than that.
func wrap(text string, width int) (lines []string) {
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}

// clip shortens text to a number of characters.
func clip(text string, most int) string {
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most-1]) + "~"
	}
	return text
}

// scoreText is a score as Pacemaker writes it.
func scoreText(score int) string {
	if score <= -crm.Infinity {
		return "-INFINITY"
	}
	return fmt.Sprint(score)
}

// cleanupOf and manageAgain are commands for a person to give.
func cleanupOf(resource, node string) string {
	return "crm_resource --cleanup -r " + resource + " --node " + node
}

// deletion takes away a constraint that crm_resource has not made.
func deletion(id string) string {
	return "pcs constraint delete " + id + ", or crm configure delete " + id
}

// manageInstances is manageAgain of the resource itself, wherever that was said.
func manageInstances(r crm.Resource) string {
	return "crm_resource " + strings.Join(r.Unset("is-managed"), " ")
}

func manageAgain(clone string) string { return "crm_resource -r " + clone + " --meta -d is-managed" }
