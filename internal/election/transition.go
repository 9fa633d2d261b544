package election

import "slices"

// Lists are the node names that Pacemaker gives with a notification, one snapshot
// from before the transition.
type Lists struct {
	Active, Promoted, Unpromoted []string
	Start, Stop, Promote, Demote []string
}

// Kind says what a promotion comes from.
type Kind int

const (
	// Failover: the old primary is gone, or there was none.
	Failover Kind = iota
	// Recovery: the old primary failed and is to be promoted again where it was.
	Recovery
	// Switchover: the old primary is demoted and stays as a standby.
	Switchover
	// Handover: the old primary is demoted and stopped, by an administrator, for the
	// node's shutdown, or with the node by fencing.
	Handover
)

func (k Kind) String() string {
	return [...]string{"failover", "recovery", "switchover", "handover"}[k]
}

// Transition is a promotion as the lists describe it.
type Transition struct {
	Kind       Kind
	Candidate  string   // who is to be promoted, empty when nobody is
	OldPrimary string   // who was promoted before, empty when nobody was
	Voters     []string // who runs an instance when the promotion comes, candidate included
}

// Classify reads a transition off the lists. With a switchover the old primary is in
// promoted and demote and not in stop; a recovery in place has it in all lists.
func Classify(l Lists) Transition {
	t := Transition{Candidate: first(l.Promote), OldPrimary: first(l.Promoted), Voters: l.running()}
	t.Kind = kind(l, t)
	return t
}

func kind(l Lists, t Transition) Kind {
	switch {
	case t.OldPrimary == "":
		return Failover
	case t.OldPrimary == t.Candidate:
		return Recovery
	case !slices.Contains(l.Demote, t.OldPrimary):
		return Failover
	case slices.Contains(l.Stop, t.OldPrimary) && slices.Contains(l.Start, t.OldPrimary):
		return Failover // it failed, and comes back as a standby with a vote
	case slices.Contains(l.Stop, t.OldPrimary):
		return Handover
	default:
		return Switchover
	}
}

// running are the nodes that run an instance after the stops and starts of the
// transition. A node that is stopped and started again is among them.
func (l Lists) running() []string {
	var nodes []string
	add := func(names []string, except []string) {
		for _, n := range names {
			if !slices.Contains(nodes, n) && !slices.Contains(except, n) {
				nodes = append(nodes, n)
			}
		}
	}
	add(l.Promote, nil)
	add(l.Start, nil)
	for _, before := range [][]string{l.Active, l.Promoted, l.Unpromoted} {
		add(before, l.Stop)
	}
	return nodes
}

func first(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return names[0]
}
