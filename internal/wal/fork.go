package wal

import (
	"math"
	"slices"
)

// Fork is the place up to which two histories name the same write-ahead log: the
// timeline they share last, and the LSN at which the first of them leaves it. For two
// that leave it nowhere, since both end on it, the LSN is the largest there is.
//
// Ancestors older than the oldest timeline that both name are taken for shared: a
// history may have been shortened (Latest). Where not one timeline is named by both,
// nothing can be told, and the answer is false.
//
// What is compared is what PostgreSQL itself goes by, numbers and places. Two timelines
// that were begun apart from each other, but under the same number and at the same
// place of the same timeline, are one to it and to Fork.
func Fork(a, b History) (Position, bool) {
	p, q := a.stretches(), b.stretches()
	from := max(p[0].Timeline, q[0].Timeline)
	p, q = since(p, from), since(q, from)
	var shared Position
	for i := 0; i < len(p) && i < len(q) && p[i].Timeline == q[i].Timeline; i++ {
		shared = Position{Timeline: p[i].Timeline, LSN: min(p[i].End, q[i].End)}
		if p[i].End != q[i].End {
			break
		}
	}
	return shared, shared.Timeline != 0
}

// endless is where the last timeline of a history ends.
const endless = LSN(math.MaxUint64)

// stretches are all timelines of the history, its own at last.
func (h History) stretches() []Ancestor {
	return append(slices.Clone(h.Ancestors), Ancestor{Timeline: h.Timeline, End: endless})
}

func since(stretches []Ancestor, t Timeline) []Ancestor {
	return slices.DeleteFunc(stretches, func(a Ancestor) bool { return a.Timeline < t })
}

// Shared is how much of h's log an instance holds whose log follows the history of and
// ends at p: p itself when it is on h, otherwise the place where it left h. It is the
// zero Position when that cannot be told.
func (h History) Shared(of History, p Position) Position {
	at, found := Fork(h, of)
	switch {
	case !found:
		return Position{}
	case p.Compare(at) <= 0:
		return p
	default:
		return at
	}
}

// Until is the history of timeline t, h's own or one of its ancestors.
func (h History) Until(t Timeline) (History, bool) {
	if t == h.Timeline {
		return h, true
	}
	for i, a := range h.Ancestors {
		if a.Timeline == t {
			return History{Timeline: t, Ancestors: slices.Clone(h.Ancestors[:i])}, true
		}
	}
	return History{}, false
}

// Latest is h without all but its n latest ancestors.
func (h History) Latest(n int) History {
	first := max(0, len(h.Ancestors)-n)
	return History{Timeline: h.Timeline, Ancestors: slices.Clone(h.Ancestors[first:])}
}

// After is the history of timeline t which forks off h's own timeline at l. It does not
// look whether t is higher, as PostgreSQL has it.
func (h History) After(t Timeline, l LSN) History {
	return History{Timeline: t, Ancestors: append(slices.Clone(h.Ancestors), Ancestor{Timeline: h.Timeline, End: l})}
}

// Following is the timeline that h goes to from its ancestor t.
func (h History) Following(t Timeline) (Timeline, bool) {
	for i, a := range h.Ancestors {
		if a.Timeline == t {
			return h.stretches()[i+1].Timeline, true
		}
	}
	return 0, false
}

// Same says whether both name the same log, as far as they tell: either may have been
// shortened.
func (h History) Same(o History) bool {
	at, found := Fork(h, o)
	return found && at.LSN == endless && h.Timeline == o.Timeline
}

// Leads says whether o is h, or goes on from h's own timeline.
func (h History) Leads(o History) bool {
	at, found := Fork(h, o)
	return found && at.Timeline == h.Timeline && (o.Timeline == h.Timeline || o.IsAncestor(h.Timeline))
}

// Equal says whether both name the same timelines and the same places.
func (h History) Equal(o History) bool {
	return h.Timeline == o.Timeline && slices.Equal(h.Ancestors, o.Ancestors)
}
