package election

import (
	"slices"
	"sort"

	"pgsqlms/internal/wal"
)

// The promotion scores, the values PAF's administrators know from crm_mon. Pacemaker
// promotes the highest; a negative score is never promoted.
const (
	ScorePrimary      = 1001  // the primary itself
	ScoreBest         = 1000  // the standby furthest ahead; the next ones 990, 980, ...
	ScoreStep         = 10    //
	ScoreFirstStart   = 1     // who was the primary, when no node has a score yet
	ScoreNotReady     = -1    // connected, but still being set up, or lagging too far
	ScoreHeld         = -2    // could be promoted, but an election waits for somebody's vote
	ScoreNotConnected = -1000 // does not replicate from this primary

	// ScoreBanned is Pacemaker's -INFINITY, which no location rule can make up for. A
	// switchover to the node was cancelled, or it was to be promoted although another
	// node holds more, and it has not been seen streaming since: the rule with which the
	// administrator asked for it would otherwise be tried, in vain, again and again.
	ScoreBanned = -1_000_000

	// ScoreBannedHeld is the same to Pacemaker, which knows nothing below -INFINITY. The
	// node could be promoted for all it holds: the election waits for somebody's vote.
	ScoreBannedHeld = ScoreBanned - 1
)

// Standby is one connection in the primary's pg_stat_replication.
type Standby struct {
	Node    string  // its application_name
	Ready   bool    // streaming or catching up; not in state startup or backup
	Sync    bool    // synchronous, or in the quorum
	Written wal.LSN // how far it has written
}

// Situation is what the primary knows when it hands out scores.
type Situation struct {
	Primary  string
	Current  wal.LSN        // where the primary writes
	MaxLag   uint64         // bytes a standby may lag before it may not be promoted, 0 for no limit
	Standbys []Standby      // whoever is connected, cluster node or not
	Nodes    []string       // the cluster's nodes; only they get a score
	Previous map[string]int // the scores as they stand
	Kept     []string       // nodes that voted and have not had the time to connect yet
}

// closeEnough is how much further ahead, in bytes, a standby must be to take another
// one's place in the order. Under load the order changes with every look, and every
// score that is written makes Pacemaker compute a transition. The vote before a
// promotion compares exactly.
const closeEnough = 1 << 20

// Scores gives every node its promotion score.
func Scores(s Situation) map[string]int {
	scores := map[string]int{s.Primary: ScorePrimary}
	for _, node := range s.Nodes {
		if node == s.Primary {
			continue
		}
		scores[node] = s.atMost(node, ScoreNotConnected)
	}
	var ranked []string
	for _, standby := range order(s) {
		if !standby.Ready || s.MaxLag > 0 && lag(s.Current, standby.Written) > s.MaxLag {
			scores[standby.Node] = s.atMost(standby.Node, ScoreNotReady)
			continue
		}
		ranked = append(ranked, standby.Node)
	}
	for i, node := range append(ranked, kept(s)...) {
		scores[node] = max(ScoreBest-i*ScoreStep, ScoreFirstStart)
	}
	return scores
}

// atMost is the score of a node that may not be promoted: a ban stays.
func (s Situation) atMost(node string, score int) int {
	if s.Previous[node] <= ScoreBanned {
		return ScoreBanned
	}
	return score
}

// kept are the kept nodes whose standbys are not ready yet, in the order of their
// scores. One that could not be promoted before has nothing to keep.
func kept(s Situation) []string {
	var nodes []string
	for _, node := range s.Kept {
		ready := slices.ContainsFunc(s.Standbys, func(b Standby) bool { return b.Node == node && b.Ready })
		if node != s.Primary && slices.Contains(s.Nodes, node) && !ready && (s.Previous[node] >= 0 || s.Previous[node] == ScoreHeld) {
			nodes = append(nodes, node)
		}
	}
	sort.SliceStable(nodes, func(i, j int) bool { return s.Previous[nodes[i]] > s.Previous[nodes[j]] })
	return nodes
}

// order puts the standbys furthest ahead first. Those within the same closeEnough
// bytes keep the order of their present scores, synchronous ones before others.
func order(s Situation) []Standby {
	standbys := onePerNode(s)
	head := wal.LSN(0)
	for _, b := range standbys {
		head = max(head, b.Written)
	}
	sort.SliceStable(standbys, func(i, j int) bool {
		a, b := standbys[i], standbys[j]
		if x, y := lag(head, a.Written)/closeEnough, lag(head, b.Written)/closeEnough; x != y {
			return x < y
		}
		if a.Sync != b.Sync {
			return a.Sync
		}
		if p, q := s.Previous[a.Node], s.Previous[b.Node]; p != q {
			return p > q
		}
		return a.Node < b.Node
	})
	return standbys
}

// onePerNode keeps a node's best connection: after a broken one, the old entry stays
// until wal_sender_timeout. What connects under another name than that of a node of the
// cluster, or under the primary's own, is no candidate.
func onePerNode(s Situation) []Standby {
	best := map[string]Standby{}
	for _, b := range s.Standbys {
		old, seen := best[b.Node]
		if slices.Contains(s.Nodes, b.Node) && b.Node != s.Primary && (!seen || better(b, old)) {
			best[b.Node] = b
		}
	}
	standbys := make([]Standby, 0, len(best))
	for _, b := range best {
		standbys = append(standbys, b)
	}
	return standbys
}

func better(a, b Standby) bool {
	if a.Ready != b.Ready {
		return a.Ready
	}
	return a.Written > b.Written
}

func lag(head, at wal.LSN) uint64 {
	if at >= head {
		return 0
	}
	return uint64(head - at)
}
