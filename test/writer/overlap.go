package writer

import (
	"cmp"
	"slices"
)

// Overlap is a pair of acknowledgements from two nodes that were under way at the same time: two primaries.
type Overlap struct{ A, B Attempt }

// Overlaps gives every pair of acknowledgements from different nodes whose intervals from sent to answered have an
// instant in common, ordered by when the later one of the pair was sent.
func Overlaps(h History) []Overlap {
	var found []Overlap
	var open []Attempt // sent before the present one, and perhaps not answered yet when it was sent
	for _, b := range acknowledged(h.Attempts) {
		open = slices.DeleteFunc(open, func(a Attempt) bool { return a.Answered < b.Sent })
		for _, a := range open {
			if a.Node != b.Node {
				found = append(found, Overlap{A: a, B: b})
			}
		}
		open = append(open, b)
	}
	return found
}

// Reign is a stretch of acknowledgements from one node with none from another in between.
type Reign struct {
	Node  string
	Count int
}

// Reigns tells which nodes acknowledged one after another. Two primaries whose acknowledgements interleave without
// overlapping show here as reigns that come back without a promotion.
func Reigns(h History) []Reign {
	acks := acknowledged(h.Attempts)
	slices.SortStableFunc(acks, func(a, b Attempt) int { return cmp.Compare(a.Answered, b.Answered) })
	var reigns []Reign
	for _, a := range acks {
		if n := len(reigns); n > 0 && reigns[n-1].Node == a.Node {
			reigns[n-1].Count++
			continue
		}
		reigns = append(reigns, Reign{Node: a.Node, Count: 1})
	}
	return reigns
}

// acknowledged gives the acknowledged attempts in the order in which they were sent.
func acknowledged(attempts []Attempt) []Attempt {
	var acks []Attempt
	for _, a := range attempts {
		if a.Kind == Acknowledged {
			acks = append(acks, a)
		}
	}
	slices.SortStableFunc(acks, func(a, b Attempt) int { return cmp.Compare(a.Sent, b.Sent) })
	return acks
}
