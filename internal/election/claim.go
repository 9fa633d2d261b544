package election

import "pgsqlms/internal/wal"

// Claims says whether the record knows node as the primary on the timeline of h: as the
// one it names, or as one whose promotion was begun and leads there.
func (r *Record) Claims(node string, h wal.History) bool {
	if r == nil {
		return false
	}
	if r.Describes(node, h) {
		return true
	}
	for _, a := range r.Next {
		if sameName(a.Rule.Primary, node) && h.Timeline > a.At.Timeline && h.Contains(a.At) {
			return true
		}
	}
	return false
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

// IsOf says whether h is the history of the record's own timeline.
func (r *Record) IsOf(h wal.History) bool { return r != nil && r.History.Same(h) }
