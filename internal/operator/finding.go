package operator

import (
	"fmt"
	"strings"
)

// level is what a finding means.
type level string

const (
	levelOK      level = "ok"
	levelWarning level = "warning" // it works, and may cost something one day
	levelError   level = "error"   // it does not work, or is not safe
	levelUnknown level = "unknown" // it cannot be told from here
)

func (l level) color() color {
	switch l {
	case levelOK:
		return green
	case levelWarning:
		return yellow
	case levelError:
		return red
	}
	return plain
}

// finding is one thing that was looked at.
type finding struct {
	Check    string `json:"check"`
	Level    level  `json:"level"`
	Node     string `json:"node,omitempty"`
	Found    string `json:"found"`
	Expected string `json:"expected,omitempty"` // empty where it was found
	ToDo     string `json:"to_do,omitempty"`    // a command that mends it, or what to look at
}

// findings collects what was looked at.
type findings []finding

// add is for what is as expected when ok is true, and at that level else.
func (f *findings) add(check, node string, ok bool, bad level, found, expected, todo string) {
	if ok {
		*f = append(*f, finding{check, levelOK, node, found, "", ""})
		return
	}
	*f = append(*f, finding{check, bad, node, found, expected, todo})
}

func (f findings) count(l level) (n int) {
	for _, one := range f {
		if one.Level == l {
			n++
		}
	}
	return n
}

// findings writes one a line, with what was expected and what to do below it.
func (s style) findings(b *strings.Builder, all findings) {
	width := 0
	for _, f := range all {
		width = max(width, len(f.Check))
	}
	const levelWidth = 9
	for _, f := range all {
		text := f.Found
		if f.Node != "" {
			text = f.Node + ": " + text
		}
		if f.Expected != "" {
			text += "; expected " + f.Expected
		}
		margin := strings.Repeat(" ", levelWidth+width+2)
		for n, part := range wrap(clean(text), s.columns-len(margin)) {
			if n == 0 {
				fmt.Fprintf(b, "%s%s%-*s", s.paint(string(f.Level), f.Level.color()), strings.Repeat(" ", levelWidth-len(f.Level)), width+2, f.Check)
			} else {
				b.WriteString(margin)
			}
			b.WriteString(part + "\n")
		}
		if f.ToDo != "" {
			b.WriteString(margin + "to do: " + clean(f.ToDo) + "\n")
		}
	}
}
