package election

import (
	"fmt"
	"slices"
)

// Vacancy is a partition without a primary, for Nominate.
type Vacancy struct {
	Members []string // the nodes of the partition
	Votes   []Vote   // of the instances that are up
	Record  *Record  // nil where there is none
	Guard   bool

	// Patient says that the record's node is still to be waited for. It has no effect
	// once that node votes.
	Patient bool

	// WerePrimary are the members whose pg_control said, before they were started as
	// standbys, that they were a primary. They matter only where there is no record.
	WerePrimary []string
}

// NoneWithinLimit begins a node's status where the parameter maxlag keeps the only standby
// that could be promoted from it.
const NoneWithinLimit = "no standby is within maxlag"

// Nomination is who is to get a first promotion score, or why nobody.
type Nomination struct {
	Node    string  // empty: nobody, now
	Awaits  []Wait  // each has to be met before there is one
	Outcome Outcome // of the votes, when they were counted
	Reason  string  // one line
}

// Nominate is for a partition in which no node has a promotion score and there is no
// primary: at the first start of a cluster, after all of it was down, and after an
// election that nobody won. Whoever is nominated still has to win the election of its
// promotion.
//
// The record's node was the primary last and holds whatever was written: it is waited
// for as long as the caller is patient, in or out of the partition, unless the rules of
// synchronous replication prove that nothing acknowledged is missing without it and it is
// not there. After that the votes decide, the guard included.
//
// Without a record, a node that was a primary is nominated, and the votes decide between
// several. If nobody was, an administrator has to say which data count.
func Nominate(v Vacancy) Nomination {
	if v.Record == nil {
		return v.firstStart()
	}
	n := v.byVotes()
	node := v.Record.Node
	votes := v.votes(node)
	member := containsName(v.Members, node)
	switch {
	case !v.Patient || votes:
	case member:
		return v.wait(n, node, fmt.Sprintf("%s was the primary and has not started its instance yet", node))
	case n.Node == "" || !n.Outcome.Settled:
		return v.wait(n, node, fmt.Sprintf("%s was the primary and is not in the partition", node))
	}
	return n
}

func (v Vacancy) wait(n Nomination, node, why string) Nomination {
	w := []Wait{{Primary: node}}
	return Nomination{Awaits: w, Outcome: n.Outcome, Reason: fmt.Sprintf("waits for %s: %s", node, why)}
}

func (v Vacancy) votes(node string) bool {
	return slices.ContainsFunc(v.Votes, func(o Vote) bool { return sameName(o.Node, node) })
}

// byVotes counts the votes, the record's node for the candidate, so that it wins a tie.
func (v Vacancy) byVotes() Nomination {
	if len(v.Votes) == 0 {
		return Nomination{Reason: "no instance is up yet"}
	}
	votes := slices.Clone(v.Votes)
	if v.Record != nil {
		slices.SortStableFunc(votes, func(a, b Vote) int {
			return rank(!sameName(a.Node, v.Record.Node)) - rank(!sameName(b.Node, v.Record.Node))
		})
	}
	o := Decide(Question{Candidate: votes[0], Others: votes[1:], Record: v.Record, Guard: v.Guard})
	return Nomination{Node: o.Winner, Awaits: o.Awaits, Outcome: o, Reason: o.String()}
}

func rank(later bool) int {
	if later {
		return 1
	}
	return 0
}

// firstStart is for a cluster without a record.
func (v Vacancy) firstStart() Nomination {
	var primaries []string
	for _, node := range v.WerePrimary {
		if containsName(v.Members, node) && !containsName(primaries, node) {
			primaries = append(primaries, node)
		}
	}
	switch len(primaries) {
	case 0:
		return Nomination{Reason: fmt.Sprintf(
			"no node is promoted: there is no record of a primary, and none of %s was one; promote the node whose data count by hand", list(v.Members))}
	case 1:
		return Nomination{Node: primaries[0], Reason: fmt.Sprintf("%s was the primary, and there is no record of another", primaries[0])}
	}
	var silent []string
	for _, node := range primaries {
		if !v.votes(node) {
			silent = append(silent, node)
		}
	}
	if len(silent) > 0 && v.Patient || len(silent) == len(primaries) {
		return Nomination{Awaits: []Wait{{Of: silent, Short: len(silent)}}, Reason: fmt.Sprintf(
			"waits for %s: %s were primaries once, and their votes decide", list(silent), list(primaries))}
	}
	return v.byVotes()
}
