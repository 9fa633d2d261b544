package election

import "pgsqlms/internal/wal"

// Vote is what a node says of itself before a promotion: where its WAL ends.
type Vote struct {
	Node     string
	Position wal.Position
}

// Elect says who holds the most WAL. The candidate wins unless another one holds
// strictly more, so that a tie costs no second transition; among several that do,
// the one furthest ahead wins, and of equals the one named first.
//
// A higher timeline counts for more than a higher LSN: a timeline begins at the
// promotion of a node that held all the WAL of the one before.
func Elect(candidate Vote, others []Vote) Vote {
	best := candidate
	for _, v := range others {
		if v.Position.Compare(best.Position) > 0 {
			best = v
		}
	}
	return best
}

// Verdict is what a comparison with the old primary's shut-down position says.
type Verdict int

const (
	// Unknown: what the old primary published is not of this demotion.
	Unknown Verdict = iota
	// Complete: the candidate holds everything the old primary wrote.
	Complete
	// Incomplete: it does not; the old primary could not follow it.
	Incomplete
)

// Compare holds the candidate's position against the end of the old primary's WAL,
// its shutdown checkpoint included. Every promotion begins a new timeline, so an end
// on a lower one than the candidate's was published before an earlier switchover.
func Compare(candidate, end wal.Position) Verdict {
	switch {
	case end.Timeline < candidate.Timeline:
		return Unknown
	case candidate.Compare(end) < 0:
		return Incomplete
	default:
		return Complete
	}
}
