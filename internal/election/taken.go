package election

import "pgsqlms/internal/wal"

// Taken is the highest number of a timeline that anybody may have begun: a promotion
// must begin a higher one. A node whose promotion was begun and that does not vote may
// have come as far as the next number.
func Taken(me Vote, votes []Vote, r *Record) wal.Timeline {
	taken := me.Position.Timeline
	votes = append([]Vote{me}, votes...)
	silent := wal.Timeline(0)
	if r != nil {
		for _, next := range r.Next {
			if !r.hasVote(votes, next.Rule.Primary) {
				silent++
			}
		}
		taken = max(taken, r.History.Timeline)
	}
	for _, v := range votes {
		taken = max(taken, v.Position.Timeline)
	}
	return taken + silent
}

// hasVote says whether the node voted since the promotion was begun: a vote that was left
// over from before tells nothing of how it ended.
func (r *Record) hasVote(votes []Vote, node string) bool {
	for _, v := range votes {
		if sameName(v.Node, node) {
			return v.Serial == r.Serial || v.History.Timeline == 0
		}
	}
	return false
}
