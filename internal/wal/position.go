package wal

import (
	"cmp"
	"fmt"
	"strings"
)

// Position is a place in the write-ahead log of one timeline. As the end of
// what an instance has, it is the first byte the instance does not have.
type Position struct {
	Timeline Timeline
	LSN      LSN
}

// ParsePosition reads the form in which PAF's instances tell each other where
// they are, "<timeline>#<lsn>", both in decimal, as in "2#73617832".
func ParsePosition(s string) (Position, error) {
	timeline, lsn, found := strings.Cut(s, "#")
	if !found {
		return Position{}, fmt.Errorf("position %q has no #, expected the form 2#73617832", clip(s))
	}
	t, err := ParseTimeline(timeline)
	if err != nil {
		return Position{}, fmt.Errorf("position %q: %w", clip(s), err)
	}
	l, err := ParseDecimalLSN(lsn)
	if err != nil {
		return Position{}, fmt.Errorf("position %q: %w", clip(s), err)
	}
	return Position{Timeline: t, LSN: l}, nil
}

// String prints the form ParsePosition reads.
func (p Position) String() string {
	return p.Timeline.String() + "#" + p.LSN.Decimal()
}

// Compare is negative when p is before q, zero when they are equal, positive
// when p is after q: by timeline, then by LSN. It knows no descent: a higher
// timeline that forked off elsewhere compares as after. Ask a History first.
func (p Position) Compare(q Position) int {
	if c := cmp.Compare(p.Timeline, q.Timeline); c != 0 {
		return c
	}
	return cmp.Compare(p.LSN, q.LSN)
}

// IsZero says whether no place is known at all.
func (p Position) IsZero() bool { return p == Position{} }
