package election

import (
	"slices"

	"pgsqlms/internal/wal"
)

// Question is one election.
type Question struct {
	Candidate Vote   // of the node that asks, which Pacemaker chose
	Others    []Vote // of whoever else runs an instance and answered

	// Record is the cluster's record; nil where there is none, as before the first
	// promotion by this agent.
	Record *Record

	// OldPrimary is who was promoted before, as far as Pacemaker knows. Where there is a
	// record, that tells.
	OldPrimary string

	// End is the end of the old primary's WAL as it published it when it was demoted,
	// zero if it did not.
	End wal.Position

	// Guard asks that every acknowledged commit is on a voter. Without it, and with
	// asynchronous replication, the furthest node of the lineage wins.
	Guard bool
}

// Outcome is what an election comes to.
type Outcome struct {
	// Winner may be promoted. Empty: nobody may, now.
	Winner string

	// Leader holds the most of the lineage among those that can be promoted, whether
	// it may be or not. Empty when all have left it.
	Leader   string
	Position wal.Position // the leader's

	Settled  bool     // every acknowledged commit is on the winner: the guard's rules hold
	Awaits   []Wait   // each has to be met before there is a winner
	Forked   []Fork   // who left the lineage, and cannot win
	Stale    []string // whose vote was left over from before the last promotion, and does not count
	Doubted  []string // whose vote does not count for the guard: see Decide
	Believed []string // whose vote names no history: it is held to be on the timeline it names
	Ahead    []string // who holds more of the lineage than any that can be promoted

	// MayBeLost is how many bytes of the leader's timeline are known to have been
	// written beyond what the leader holds.
	MayBeLost uint64

	// Unheard is the old primary, where nobody knows how far it had written and nothing
	// proves that the leader holds all that was acknowledged.
	Unheard string

	// Conflict says, in words, that nothing told which of several timelines is the
	// cluster's, or how one came about.
	Conflict string

	line    lineage
	guarded bool
	votes   []string // of whom
}

// Wait is whose votes an election lacks: Primary's alone, if it is named, or those of
// Short nodes out of Of.
type Wait struct {
	Rule    Rule // the rule that is not met; zero when it is something else
	Primary string
	Of      []string
	Short   int
}

// Fork is a node that holds something which is not on the cluster's lineage.
type Fork struct {
	Node string
	Left wal.Position // where it left the lineage; zero if that cannot be told
	At   wal.Position // where it is
}

// Decide says who may be promoted.
//
//  1. Histories before positions. The cluster's lineage is the record's timeline; a later
//     one counts as the cluster's own only if it takes over all that is known of the
//     one before, or if its promotion is known to have been begun (extend). A node that
//     holds anything else has forked: it never wins, whatever its timeline or LSN.
//  2. Who holds the most of the lineage leads: the candidate among equals, so that a tie
//     costs no second transition; else the one named first.
//  3. The guard. The leader wins when every commit that may have been acknowledged, by
//     any of the record's rules, is on a voter (R + W > N), and no voter holds more of
//     the lineage than the leader: one that forked, or cannot be promoted, may hold
//     acknowledged commits up to where it left. Otherwise there is no winner, and the
//     outcome names whose votes would change that.
//
// For the guard a vote does not count when it may say less than the node had: the
// record's own node on data from before its promotion, which have been replaced since;
// and a vote without a serial, PAF's, on a timeline before the record's, which may have
// been left over.
func Decide(q Question) Outcome {
	c := count{q: q, guarded: q.Guard && q.Record.synchronous()}
	c.gather()
	c.settleLineage()
	o := Outcome{Stale: c.stale, Conflict: c.dispute, line: c.line, guarded: c.guarded}
	leader := c.leader()
	c.survey(&o, leader)
	if c.guarded {
		c.awaitVotes(&o)
	}
	if leader == nil {
		return o
	}
	o.Leader, o.Position, o.MayBeLost = leader.Node, leader.Position, c.lost(leader)
	o.Unheard = c.unheard(leader)
	if len(o.Awaits) == 0 && (!c.guarded || len(o.Ahead) == 0) {
		o.Winner, o.Settled = leader.Node, c.guarded && len(o.Believed) == 0
	}
	return o
}

// leader is the voter furthest along the lineage; the candidate is the first of them.
func (c *count) leader() *voter {
	var best *voter
	for i := range c.voters {
		v := &c.voters[i]
		if v.forked || v.Witness {
			continue
		}
		if best == nil || c.line.ahead(v.held, best.held) {
			best = v
		}
	}
	return best
}

// survey notes what is to be said of each voter.
func (c *count) survey(o *Outcome, leader *voter) {
	for _, v := range c.voters {
		o.votes = append(o.votes, v.Node)
		if v.forked {
			o.Forked = append(o.Forked, Fork{Node: v.Node, Left: v.held, At: v.Position})
		}
		if v.History.Timeline == 0 {
			o.Believed = append(o.Believed, v.Node)
		}
		if c.doubted(v) {
			o.Doubted = append(o.Doubted, v.Node)
		}
		if (v.forked || v.Witness) && (leader == nil || c.line.ahead(v.held, leader.held)) {
			o.Ahead = append(o.Ahead, v.Node)
		}
	}
}

func (c *count) doubted(v voter) bool {
	r := c.q.Record
	if r == nil {
		return false
	}
	at, found := wal.Fork(r.History, v.history)
	own := found && at.Timeline == r.History.Timeline
	switch {
	case sameName(v.Node, r.Node):
		return !own
	case v.History.Timeline == 0:
		return v.Position.Timeline < r.History.Timeline
	default:
		return false
	}
}

func (r *Record) synchronous() bool {
	return slices.ContainsFunc(r.rules(), func(s Rule) bool { return s.Need > 0 })
}

// awaitVotes names those without whom it cannot be told which timeline is the cluster's,
// and those whom the record's rules ask for.
func (c *count) awaitVotes(o *Outcome) {
	for _, node := range c.awaited {
		o.Awaits = append(o.Awaits, Wait{Primary: node})
	}
	counted := slices.DeleteFunc(slices.Clone(o.votes), func(n string) bool { return slices.Contains(o.Doubted, n) })
	for _, r := range c.q.Record.rules() {
		if !r.settledBy(counted) {
			o.Awaits = append(o.Awaits, Wait{Rule: r, Primary: c.absent(r.Primary), Of: r.missing(counted), Short: r.short(counted)})
		} else if r.Need > 0 && len(o.Ahead) > 0 {
			c.awaitMore(o, r, counted)
		}
	}
}

// awaitMore is for a voter that holds more than the leader and cannot be promoted:
// whoever else may hold as much is waited for.
func (c *count) awaitMore(o *Outcome, r Rule, counted []string) {
	w := Wait{Primary: c.absent(r.Primary), Of: r.missing(counted), Short: 1}
	for _, node := range o.Ahead {
		if v, _ := c.voter(node); v.Witness && !v.forked {
			w.Of = append(w.Of, node)
		}
	}
	if w.Primary != "" || len(w.Of) > 0 {
		o.Awaits = append(o.Awaits, w)
	}
}

// absent is the node if it does not vote. One that does, and settles nothing, is not
// awaited.
func (c *count) absent(node string) string {
	if _, votes := c.voter(node); votes {
		return ""
	}
	return node
}

// lost is how much more than the leader holds anybody knows of its timeline.
func (c *count) lost(leader *voter) uint64 {
	t, furthest := leader.Position.Timeline, leader.Position.LSN
	if c.q.End.Timeline == t {
		furthest = max(furthest, c.q.End.LSN)
	}
	for _, v := range c.voters {
		if v.held.Timeline == t {
			furthest = max(furthest, v.held.LSN)
		}
		if v.Position.Timeline == t && !v.forked {
			furthest = max(furthest, v.Known)
		}
	}
	return uint64(furthest - leader.Position.LSN)
}

// unheard is the old primary if it neither votes nor has published where its WAL ended.
// What others have heard of it is how far it had come when it last sent them something,
// and they forget that when their connection ends.
func (c *count) unheard(leader *voter) string {
	old := c.q.OldPrimary
	if r := c.q.Record; r != nil {
		old = r.Node
		if n := len(r.Next); n > 0 && c.line.Timeline > r.History.Timeline { // its promotion had gone on
			old = r.Next[n-1].Rule.Primary
		}
	}
	if old == "" || c.guarded || c.q.End.Timeline == leader.Position.Timeline {
		return ""
	}
	return c.absent(old)
}
