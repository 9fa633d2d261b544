package election

import (
	"fmt"
	"slices"

	"pgsqlms/internal/wal"
)

// voter is a vote held against the cluster's lineage.
type voter struct {
	Vote
	history wal.History  // the vote's, or that of the same timeline from elsewhere
	unknown bool         // nobody named a history of the vote's timeline
	held    wal.Position // how much of the lineage the node holds
	forked  bool         // it holds something that is not on the lineage
}

// lineage is the write-ahead log that the cluster takes for its own.
type lineage struct {
	wal.History
	byNumber bool // the way is not known, and numbers of timelines count, as with PAF
}

// count is one election.
type count struct {
	q       Question
	guarded bool // acknowledged commits are at stake, and the guard is on
	voters  []voter
	stale   []string
	line    lineage
	awaited []string // whose vote would tell which timeline is the cluster's
	dispute string   // histories that exclude each other, in words
}

// gather takes one vote of each node, the candidate's first, and leaves out those that
// were left over from before the last promotion: a node that has acknowledged commits
// since would count as one that has not.
func (c *count) gather() {
	seen := map[string]bool{}
	for _, v := range append([]Vote{c.q.Candidate}, c.q.Others...) {
		if seen[lower(v.Node)] {
			continue
		}
		seen[lower(v.Node)] = true
		if c.q.Record != nil && v.History.Timeline != 0 && v.Serial != c.q.Record.Serial {
			c.stale = append(c.stale, v.Node)
			continue
		}
		c.voters = append(c.voters, voter{Vote: v})
	}
	for i := range c.voters {
		c.voters[i].history, c.voters[i].unknown = c.historyOf(c.voters[i].Vote)
	}
}

// historyOf is the vote's own history. A vote without one is held to have come by the
// way that the record names for the same timeline.
func (c *count) historyOf(v Vote) (h wal.History, unknown bool) {
	r := c.q.Record
	for _, h := range append([]wal.History{v.History}, r.ways(r.attempts())...) {
		if way, found := h.Until(v.Position.Timeline); found {
			return way, false
		}
	}
	return wal.History{Timeline: v.Position.Timeline}, true
}

func (r *Record) attempts() int {
	if r == nil {
		return 0
	}
	return len(r.Next)
}

// ways are the histories that the record knew before the nth promotion was begun from it.
func (r *Record) ways(n int) []wal.History {
	if r == nil {
		return nil
	}
	ways := []wal.History{r.History}
	for _, a := range r.Next[:n] {
		ways = append(ways, a.History)
	}
	return ways
}

func (c *count) voter(node string) (voter, bool) {
	for _, v := range c.voters {
		if sameName(v.Node, node) {
			return v, true
		}
	}
	return voter{}, false
}

// settleLineage finds the lineage: the record's, the timeline of a promotion that the
// record knows to have been begun, and whatever later one goes on from there and is the
// cluster's own. Without a record, the histories of the votes.
func (c *count) settleLineage() {
	if c.q.Record == nil {
		c.lineageOfVotes()
	} else {
		c.line = lineage{History: c.begun()}
		c.adopt()
		for c.extend() {
			c.adopt()
		}
	}
	for i := range c.voters {
		c.voters[i].place(c.line)
	}
}

// adopt lets the votes without a history follow the lineage, when their timeline is there.
func (c *count) adopt() {
	for i := range c.voters {
		c.voters[i].adopt(c.line)
	}
}

func (v *voter) adopt(line lineage) {
	if way, found := line.Until(v.Position.Timeline); found && v.unknown {
		v.history, v.unknown = way, line.byNumber
	}
}

// place says how much of the lineage the voter holds, and whether it left it.
func (v *voter) place(line lineage) {
	v.adopt(line)
	v.held, v.forked = v.Position, false
	at, found := wal.Fork(line.History, v.history)
	switch {
	case line.byNumber && (v.unknown || !found):
		v.forked = v.Position.Timeline > line.Timeline
	case v.unknown || !found:
		v.held, v.forked = wal.Position{}, true
	case v.Position.Compare(at) > 0:
		v.held, v.forked = at, true
	}
}

// branch is a timeline that goes on from the last one of a line.
type branch struct {
	way     wal.History // of the timeline
	from    wal.LSN     // where it left the line
	guessed bool        // nobody said where that is
}

func (b branch) String() string { return fmt.Sprintf("timeline %d from %s", b.way.Timeline, b.from) }

// branchOf is the timeline by which v goes on from the last one of line.
func branchOf(line wal.History, v voter) (branch, bool) {
	at, found := wal.Fork(line, v.history)
	next, later := v.history.Following(line.Timeline)
	way, _ := v.history.Until(next)
	return branch{way: way, from: at.LSN}, found && later && at.Timeline == line.Timeline
}

// after is the timeline on which v is that can have begun with the nth attempt: one that
// goes on from its place, or from a little before, as a promotion drops an incomplete
// record at the end. Timelines of which the candidate had nothing are passed over. A way
// that the record knew before is older than the attempt. One that lacks the place of a
// later attempt was given up when that one won its election.
func (r *Record) after(n int, v voter) (branch, bool) {
	a := r.Next[n]
	b, found := branchOf(a.History, v)
	if !found || b.from > a.At.LSN {
		return branch{}, false
	}
	for end, more := v.history.SwitchPoint(b.way.Timeline); more && end == b.from; end, more = v.history.SwitchPoint(b.way.Timeline) {
		next, _ := v.history.Following(b.way.Timeline)
		b.way, _ = v.history.Until(next)
	}
	older := slices.ContainsFunc(r.ways(n), func(h wal.History) bool {
		known, found := h.Until(b.way.Timeline)
		return found && known.Same(b.way)
	})
	givenUp := slices.ContainsFunc(r.Next[n+1:], func(later Attempt) bool {
		return b.way.Shared(later.History, later.At) != later.At
	})
	return b, !older && !givenUp
}

// collect gathers the branches that of finds for the voters, each once. A vote without a
// history, on a later timeline than all that is known of the line, may be on any: it makes
// a branch that takes over all there is, where it is not one of those that are known.
func (c *count) collect(line wal.History, of func(voter) (branch, bool)) (branches []branch) {
	add := func(b branch) {
		same := func(o branch) bool { return o.from == b.from && o.way.Same(b.way) }
		if !slices.ContainsFunc(branches, same) {
			branches = append(branches, b)
		}
	}
	for _, v := range c.voters {
		if b, found := of(v); found {
			add(b)
		}
	}
	reach := c.reach(line)
	for _, v := range c.voters {
		if v.unknown && v.Position.Timeline > line.Timeline {
			add(branch{line.After(v.Position.Timeline, reach), reach, true})
		}
	}
	return branches
}

// reach is how far anybody is known to have come on the last timeline of line.
func (c *count) reach(line wal.History) (reach wal.LSN) {
	if c.q.End.Timeline == line.Timeline {
		reach = c.q.End.LSN
	}
	for _, v := range c.voters {
		at, found := wal.Fork(line, v.history)
		switch {
		case v.unknown || !found || at.Timeline != line.Timeline:
		case v.Position.Timeline == line.Timeline:
			reach = max(reach, v.Position.LSN, v.Known)
		default:
			reach = max(reach, at.LSN)
		}
	}
	return reach
}

// begun is the lineage as far as the record tells it. A promotion that was begun, and went
// on, has left the timeline before for good: whatever lies past that place was written by a
// primary that the cluster had given up. The latest one that went on counts.
//
// A node that votes, and is on no timeline that goes on from the place of its promotion,
// was not promoted. One that does not vote may have been, and others may have followed it,
// or somebody who was promoted by hand: then its vote has to tell, unless there is but one
// timeline it can be, and that takes over all there is. Where nobody's acknowledged commits
// are at stake, the one timeline will do.
func (c *count) begun() wal.History {
	r := c.q.Record
	for n, a := range slices.Backward(r.Next) {
		if v, votes := c.voter(a.Rule.Primary); votes {
			if b, found := r.after(n, v); found {
				return b.way
			}
		} else if way, found := c.begunUnseen(n); found {
			return way
		}
		if len(c.awaited) > 0 {
			return r.History
		}
		if at, _ := wal.Fork(r.History, a.History); at.Timeline != a.At.Timeline {
			return a.History // not the record's way: an election had chosen this one
		}
	}
	return r.History
}

// begunUnseen is the timeline of an attempt whose node does not vote.
func (c *count) begunUnseen(n int) (wal.History, bool) {
	a := c.q.Record.Next[n]
	branches := c.collect(a.History, func(v voter) (branch, bool) { return c.q.Record.after(n, v) })
	if len(branches) == 0 {
		return wal.History{}, false
	}
	single := len(branches) == 1 && !branches[0].guessed
	whole := single && branches[0].from == c.reach(a.History)
	if c.guarded && !whole {
		c.awaited = append(c.awaited, a.Rule.Primary)
		return wal.History{}, false
	}
	return branches[0].way, single
}

// extend lengthens the lineage by one timeline that the record does not have, when one of
// those that go on from it is the cluster's own.
//
// Such a timeline was begun by a promotion that nobody could record, or by hand on a
// standby that was cut off. Nobody writes on a timeline after the cluster's promotion has
// left it. So if anybody is known to hold more of it than the new timeline took over,
// that one was begun by hand; else taking it loses nothing that any voter holds.
func (c *count) extend() bool {
	line := c.line.History
	reach := c.reach(line)
	branches := c.collect(line, func(v voter) (branch, bool) { return branchOf(line, v) })
	branches = slices.DeleteFunc(branches, func(b branch) bool { return b.from < reach })
	if len(branches) > 1 {
		c.dispute = fmt.Sprintf("%v and %v were both begun there, and neither can be the cluster's own", branches[0], branches[1])
	}
	if len(branches) != 1 {
		return false
	}
	if b := branches[0]; b.guessed {
		c.dispute = fmt.Sprintf("no vote says how timeline %d came about, and it counts as the higher one", b.way.Timeline)
	}
	c.line = lineage{branches[0].way, branches[0].guessed}
	return !branches[0].guessed
}

// lineageOfVotes takes the way of the highest vote. If all others lie on it, it contains
// them. If any vote contains all others, it is that one: they are on its timeline or on
// lower ones. If none does, the highest timeline counts, as it does for PAF.
func (c *count) lineageOfVotes() {
	if len(c.voters) == 0 {
		return
	}
	best := c.voters[0]
	for _, v := range c.voters[1:] {
		if v.Position.Compare(best.Position) > 0 {
			best = v
		}
	}
	c.line = best.line()
	if len(c.off(best)) > 0 {
		c.dispute = fmt.Sprintf("there is no record, and no vote's history contains all others: timeline %d of %s counts as the higher one",
			c.line.Timeline, nameText(best.Node))
	}
}

// line is the lineage that the voter would have the cluster follow.
func (v voter) line() lineage { return lineage{v.history, v.unknown} }

// off are the voters that are not on v's lineage.
func (c *count) off(v voter) (nodes []string) {
	for _, o := range c.voters {
		if o.place(v.line()); o.forked {
			nodes = append(nodes, o.Node)
		}
	}
	return nodes
}

// ahead says whether p is further along the lineage than q. What counts is the LSN: one
// that stands where a timeline was left holds as much as one that stands where the next
// began. Between those two the later timeline wins, as the other, promoted, would begin
// one of the same number again.
func (l lineage) ahead(p, q wal.Position) bool {
	if l.byNumber || p.LSN == q.LSN {
		return p.Compare(q) > 0
	}
	return p.LSN > q.LSN
}

// shown is a position as PostgreSQL's own messages have it.
func shown(p wal.Position) string { return fmt.Sprintf("%s on timeline %d", p.LSN, p.Timeline) }
