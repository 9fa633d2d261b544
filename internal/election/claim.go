package election

import "pgsqlms/internal/wal"

// littleBefore is how much, in bytes, a promotion may drop of what its node held: the record
// at the end that is not whole. One of a commit with many subtransactions has megabytes,
// and few have more than some hundred kB. Somebody else's timeline, begun by hand, may begin
// before the place as well.
const littleBefore = 16 << 20

// Claims says whether the record knows node as the primary on the timeline of h: as the
// one it names, or as one whose promotion was begun and leads there, from its place on or
// from a little before (see after).
func (r *Record) Claims(node string, h wal.History) bool {
	if r == nil {
		return false
	}
	if r.Describes(node, h) {
		return true
	}
	for n, a := range r.Next {
		if !sameName(a.Rule.Primary, node) || h.Timeline <= a.At.Timeline {
			continue
		}
		b, begun := r.after(n, voter{history: h})
		if begun && b.from+littleBefore >= a.At.LSN || h.Contains(a.At) {
			return true
		}
	}
	return false
}

// Began is the timeline that node has begun, and written to, as the primary that the record
// names; zero for others.
func (r *Record) Began(node string) wal.Timeline {
	if r == nil || !sameName(r.Node, node) {
		return 0
	}
	return r.History.Timeline
}

// Follows says whether the log of v is on the record's lineage, as far as v itself can
// tell. Without a record everything is.
func (r *Record) Follows(v Vote) bool {
	if r == nil {
		return true
	}
	v.Serial = r.Serial
	return Decide(Question{Candidate: v, Record: r}).Winner == v.Node
}

// Supersedes says whether r is a later state of the same cluster's record than other is:
// of the timeline that other has, with more promotions begun from it, or of one that has
// come out of it. The serial alone does not tell: a record that was deleted begins anew.
func (r *Record) Supersedes(other *Record) bool {
	if r == nil || other == nil || r.Serial <= other.Serial {
		return false
	}
	if r.History.Same(other.History) {
		return len(r.Next) > len(other.Next)
	}
	before, found := r.History.Until(other.History.Timeline)
	return found && before.Same(other.History)
}

// SameReign says whether two records tell of the same promotion, whatever the rules.
func (r *Record) SameReign(other *Record) bool {
	return r != nil && other != nil && r.Serial == other.Serial && r.Node == other.Node &&
		r.History.Same(other.History) && len(r.Next) == len(other.Next)
}

// IsOf says whether h is the history of the record's own timeline.
func (r *Record) IsOf(h wal.History) bool { return r != nil && r.History.Same(h) }

// Left says where a log that follows h and is at p has left the record's lineage: past the
// place from which the record goes on along another timeline. One that goes on from the
// record's own timeline may be a promotion which is not in the record yet; and as long as
// the end of one is not known, the record does not tell its lineage.
func (r *Record) Left(h wal.History, p wal.Position) (at wal.Position, left bool) {
	if r == nil || len(r.Next) > 0 {
		return wal.Position{}, false
	}
	at, found := wal.Fork(r.History, h)
	if !found || at.Timeline == r.History.Timeline || p.LSN <= at.LSN {
		return wal.Position{}, false
	}
	return at, true
}
