package wal

import (
	"fmt"
	"strings"
)

// Ancestor is a timeline from which a later one descends, and the LSN at which
// it was left: the write-ahead log before End is shared by both.
type Ancestor struct {
	Timeline Timeline
	End      LSN
}

// History is the descent of one timeline: its ancestors, oldest first. The
// history of timeline 1 has none, and neither a file.
type History struct {
	Timeline  Timeline
	Ancestors []Ancestor
}

// ParseHistory reads the text of the history file of timeline t, by the rules
// of PostgreSQL's readTimeLineHistory: a line holds a timeline ID, white
// space, the LSN at which it was left, and a free remark; empty lines and
// lines that begin with # count for nothing; IDs increase from line to line
// and stay below t. The LSNs may not decrease: a timeline is never left before
// it began.
func ParseHistory(t Timeline, text string) (History, error) {
	h := History{Timeline: t}
	if t == 0 {
		return History{}, fmt.Errorf("timeline history: timelines count from 1")
	}
	for n, line := range strings.Split(text, "\n") {
		a, blank, err := parseAncestor(line)
		if err == nil && !blank {
			err = h.append(a)
		}
		if err != nil {
			return History{}, fmt.Errorf("history of timeline %d, line %d: %w", t, n+1, err)
		}
	}
	return h, nil
}

// parseAncestor reads one line. What follows the LSN is the reason of the
// switch, for people.
func parseAncestor(line string) (a Ancestor, blank bool, err error) {
	line = strings.TrimLeft(line, " \t\r\v\f")
	if line == "" || line[0] == '#' {
		return Ancestor{}, true, nil
	}
	fields := strings.FieldsFunc(line, isBlank)
	if len(fields) < 2 {
		return Ancestor{}, false, fmt.Errorf("%q: expected a timeline and the LSN at which it was left", clip(line))
	}
	if a.Timeline, err = ParseTimeline(fields[0]); err != nil {
		return Ancestor{}, false, err
	}
	a.End, err = ParseLSN(fields[1])
	return a, false, err
}

func isBlank(r rune) bool { return strings.ContainsRune(" \t\r\v\f", r) }

func (h *History) append(a Ancestor) error {
	if a.Timeline >= h.Timeline {
		return fmt.Errorf("timeline %d is not below timeline %d", a.Timeline, h.Timeline)
	}
	if n := len(h.Ancestors); n > 0 {
		last := h.Ancestors[n-1]
		if a.Timeline <= last.Timeline {
			return fmt.Errorf("timeline %d follows timeline %d: expected increasing timelines", a.Timeline, last.Timeline)
		}
		if a.End < last.End {
			return fmt.Errorf("timeline %d was left at %s, before it began at %s", a.Timeline, a.End, last.End)
		}
	}
	h.Ancestors = append(h.Ancestors, a)
	return nil
}

// String prints the history in the file's format, without remarks.
func (h History) String() string {
	var b strings.Builder
	for _, a := range h.Ancestors {
		fmt.Fprintf(&b, "%d\t%s\n", a.Timeline, a.End)
	}
	return b.String()
}

// IsAncestor says whether h's timeline descends from t. No timeline is its own
// ancestor.
func (h History) IsAncestor(t Timeline) bool {
	_, found := h.SwitchPoint(t)
	return found
}

// SwitchPoint is the LSN at which ancestor t was left, and whether t is one.
func (h History) SwitchPoint(t Timeline) (LSN, bool) {
	for _, a := range h.Ancestors {
		if a.Timeline == t {
			return a.End, true
		}
	}
	return 0, false
}

// Contains says whether an instance whose write-ahead log ends at p can go on
// along this history: p is on h's timeline itself, or on an ancestor and not
// past the point at which that one was left.
func (h History) Contains(p Position) bool {
	if p.Timeline == h.Timeline {
		return true
	}
	end, found := h.SwitchPoint(p.Timeline)
	return found && p.LSN <= end
}

// Parent is the timeline from which h's forked off, and where. It is the zero
// Ancestor for a timeline without a history.
func (h History) Parent() Ancestor {
	if len(h.Ancestors) == 0 {
		return Ancestor{}
	}
	return h.Ancestors[len(h.Ancestors)-1]
}

// At is the timeline on which a log that follows this history and ends at l
// ends: the oldest one that was not left before l.
func (h History) At(l LSN) Timeline {
	for _, a := range h.Ancestors {
		if l <= a.End {
			return a.Timeline
		}
	}
	return h.Timeline
}
