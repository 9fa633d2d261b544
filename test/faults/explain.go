package faults

import (
	"maps"
	"slices"
	"time"
)

// done is a step with what it met. A plan names nodes by their roles, and by then a role may have moved.
type done struct {
	Step
	Node    string // the primary for AllNodes
	Primary string // of that moment
}

// nodes are those that a step is done to.
func (d done) nodes(all []string) []string {
	if d.Target == AllNodes {
		return all
	}
	return []string{d.Node}
}

// ofPrimary says that a step takes the promoted role from who has it, or may.
func (d done) ofPrimary() bool {
	return effects[d.Kind].moves > 0 && (d.Target == AllNodes || d.Node == d.Primary || d.Kind == stepSwitchover)
}

// effect is what a kind of step explains on the node that it is done to, and on no other.
type effect struct {
	starts     int  // of PostgreSQL
	recoveries int  // by the postmaster itself, beyond one for each start
	fencings   int  //
	moves      int  // promotions, where the node is the primary
	away       bool // the node does not count for the quorum for a while
	abrupt     bool // a primary has no time to hand over what it has flushed
	mute       bool // the agent's processes on the node are ended, or stand still: their actions have no reason
	alone      bool // the step has nothing to do with what the cluster does about another one
}

// effects are those of each kind.
var effects = map[string]effect{
	stepKillPostgres:   {starts: 1, moves: 1, abrupt: true},
	stepKillPostmaster: {starts: 1, moves: 1, abrupt: true},
	stepKillBackend:    {recoveries: 1},
	stepStopPostmaster: {starts: 1, moves: 1, abrupt: true},
	// Thawed, or its network mended, before it is fenced, a node without quorum stops and starts what it runs.
	stepFreeze:    {starts: 2, fencings: 1, moves: 1, away: true, abrupt: true, mute: true},
	stepCut:       {starts: 2, fencings: 1, moves: 1, away: true, abrupt: true},
	stepSilentCut: {starts: 2, fencings: 1, moves: 1, away: true, abrupt: true},
	stepPowerLoss: {starts: 1, fencings: 1, moves: 1, away: true, abrupt: true, mute: true},
	// Who is up first fences who is late.
	stepBlackout:       {starts: 2, fencings: 1, moves: 1, away: true, abrupt: true, mute: true},
	stepLosePackets:    {starts: 3, fencings: 2, moves: 2, away: true, abrupt: true, mute: true},
	stepCutReplication: {},
	stepFencingFails:   {alone: true},
	stepSwitchover:     {moves: 1},
	stepRestart:        {starts: 2}, // a monitor may find it down, and starts it as well
	stepPauseReplay:    {alone: true},
	stepWriteWAL:       {},
	stepNoCheckpoint:   {},
	stepStandbyMode:    {starts: 1, moves: 1},
	stepStopCluster:    {starts: 1, moves: 1, away: true},
	stepUseUpSlots:     {alone: true},
	// A stop that is killed has the node fenced, and after its boot the next action is killed, too.
	stepKillAgent: {starts: 3, fencings: 3, moves: 2, away: true, abrupt: true, mute: true},
}

// allowance is what the steps that were done allow: each explains something about the node that it was done to. Where the
// promoted role may have moved and another step came into that, it may have met a candidate, a new primary or an old one,
// whatever the node was before.
func (p Plan) allowance(all []string, steps []done) Allowance {
	a := Allowance{
		Starts: map[string]int{}, Recoveries: map[string]int{}, Fencings: map[string]int{},
		Serve: p.length() + time.Duration(len(p.Steps))*(p.Fencing+10*time.Second) + 60*time.Second,
		Whole: 2*streamTime + p.Reboot + p.Fencing,
	}
	for _, s := range steps {
		a.addStep(s, all)
	}
	if roleMoves(steps, all) {
		a.addMove(steps, all)
	}
	for _, node := range all {
		a.Recoveries[node] += a.Starts[node]
	}
	return a
}

// addStep is what a step does to its own node, be that a primary or a standby.
func (a *Allowance) addStep(s done, all []string) {
	e := effects[s.Kind]
	for _, node := range s.nodes(all) {
		a.Starts[node] += e.starts
		a.Recoveries[node] += e.recoveries
		a.Fencings[node] += e.fencings
		if e.mute && !slices.Contains(a.Mute, node) {
			a.Mute = append(a.Mute, node)
		}
	}
	if s.Kind == stepLosePackets { // whose word of who is gone reaches whom is chance
		for _, node := range all {
			a.Fencings[node]++
		}
	}
}

// addMove is what comes with a promotion.
func (a *Allowance) addMove(steps []done, all []string) {
	several := len(slices.DeleteFunc(slices.Clone(steps), func(s done) bool { return effects[s.Kind].alone })) > 1
	old := map[string]bool{}
	moves := 0
	for _, s := range steps {
		e := effects[s.Kind]
		moves += e.moves
		if s.ofPrimary() {
			if e.abrupt {
				a.AsyncLoss, a.Diverging = true, append(a.Diverging, s.Primary)
			} else {
				old[s.Primary] = true // it is demoted, which starts it as a standby
			}
		}
	}
	for node := range old {
		a.Starts[node]++
	}
	a.Promotions.Max = max(1, moves)
	if several {
		a.Promotions.Max = 2 * max(1, moves) // a switchover that is cancelled gives the role back
		a.AsyncLoss = true
		a.addOverlap(steps, all, max(1, moves))
	}
}

// addOverlap is what comes with a promotion that other steps meet: it is refused until a vote is there, or an order is
// taken back, and each time Pacemaker starts the instance again.
func (a *Allowance) addOverlap(steps []done, all []string, moves int) {
	met := map[string]bool{}
	for _, s := range steps {
		if !effects[s.Kind].alone {
			met[s.Node], met[s.Primary] = true, true
		}
	}
	quorum := len(away(steps, all)) > 1
	if quorum { // who is left asks until another is back
		moves = max(moves, refused)
	}
	for _, node := range all {
		a.Starts[node] += moves
		if quorum {
			a.Fencings[node]++ // the two that were away may be the first that see each other
		}
		met[node] = met[node] || quorum
	}
	a.Diverging = slices.DeleteFunc(slices.Sorted(maps.Keys(met)), func(node string) bool { return !met[node] })
}

// roleMoves says that the steps explain a promotion: one was done to the primary, its node or its network, one was an
// order, or so many nodes were away that the primary may have lost its quorum.
func roleMoves(steps []done, all []string) bool {
	return slices.ContainsFunc(steps, done.ofPrimary) || len(away(steps, all)) > 1 ||
		slices.ContainsFunc(steps, func(s done) bool { return s.Kind == stepLosePackets })
}

// away are the nodes that are missing from the quorum at some time.
func away(steps []done, all []string) map[string]bool {
	nodes := map[string]bool{}
	for _, s := range steps {
		if effects[s.Kind].away {
			for _, node := range s.nodes(all) {
				nodes[node] = true
			}
		}
	}
	return nodes
}
