package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"pgsqlms/internal/election"
	"pgsqlms/internal/failpoint"
)

// Pacemaker promotes nobody without a promotion score of 0 or more, and only a primary
// hands out scores. When no node has one, because all of the cluster was down, or
// because an election awaits somebody's vote, the standbys find out by themselves who
// is to be promoted: whoever is started, and every standby's monitor.

// patience is how long the monitors of a standby without a primary still wait for the node
// of the last promotion and for the votes of all nodes that are up. After that the election
// is between those that have voted.
var patience = lasting{looks: 3, span: 30 * time.Second}

// nominate gives somebody a first score if nobody has any, or anyway. waiting says what
// is awaited when that is not possible yet, and is empty otherwise.
func (a *agent) nominate(ctx context.Context, wasPrimary, patient bool, anyway func() bool) (waiting string, err error) {
	self, err := a.nodeName(ctx)
	if err != nil {
		return "", err
	}
	members, err := a.crm.Members(ctx)
	if err != nil {
		return "", err
	}
	scores, err := a.readScores(ctx, members)
	if err != nil || anyPositive(scores) && !anyway() {
		return "", err
	}
	var promoted bool
	var me election.Vote
	var record *election.Record
	err = sideBySide(
		func() { promoted = !anyPositive(scores) && a.someonePromoted(ctx, self) },
		func() (err error) { me, record, err = a.ownVote(ctx, self); return err })
	if err != nil || promoted {
		return "", err
	}
	m := a.store.load()
	m.Voted = true
	a.remember(m)
	if err := a.voteOnce(ctx, me); err != nil {
		return "", err
	}
	v := election.Vacancy{Members: members, Votes: []election.Vote{me}, Record: record, Guard: a.conf.guard, Patient: patient}
	if wasPrimary {
		v.WerePrimary = []string{me.Node}
	}
	return a.nominateAmong(ctx, v, scores)
}

// voteOnce publishes a vote, unless it stands already: an election that waits for somebody is
// looked at by each monitor.
func (a *agent) voteOnce(ctx context.Context, me election.Vote) error {
	stands, _, err := a.votesOf(ctx, []string{me.Node}, false)
	if v, given := stands[me.Node]; err == nil && given && v.Ballot() == me.Ballot() {
		return nil
	}
	if err := a.publishVote(ctx, me); err != nil {
		return err
	}
	return a.awaitVoteShown(ctx, me)
}

// someonePromoted says whether Pacemaker holds another node for promoted. Its score may be
// gone for a while: an attribute manager that is started again knows none of its own node.
// Where Pacemaker does not say, in the part of a monitor's question that it may take, the
// scores alone tell.
func (a *agent) someonePromoted(ctx context.Context, self string) bool {
	promoted, told := a.promoted(ctx, watchWait/3)
	return told && len(without(promoted, self)) > 0
}

func anyPositive(scores map[string]int) bool {
	for _, score := range scores {
		if score >= 0 {
			return true
		}
	}
	return false
}

// nominateAmong counts the votes that stand with this node's own, the only one in v.
func (a *agent) nominateAmong(ctx context.Context, v election.Vacancy, scores map[string]int) (string, error) {
	votes, err := a.presentVotes(ctx, without(v.Members, v.Votes[0].Node))
	if err != nil {
		return "", err
	}
	v.Votes = append(v.Votes, votes...)
	n := election.Nominate(v)
	if n.Node == "" {
		return n.Reason, nil
	}
	if score, scored := scores[n.Node]; scored && a.lagged(score) && !n.Outcome.Settled && !a.reachesEnd(ctx, v, n.Node) {
		return fmt.Sprintf(election.NoneWithinLimit+": %s could be promoted, but has a promotion score of %d from when there was a primary", n.Node, score), nil
	}
	a.log.Infof("no node has a promotion score, that of %s is now %d: %s", n.Node, election.ScoreFirstStart, n.Reason)
	failpoint.Hit("start-nominate")
	return "", a.crm.SetScore(ctx, n.Node, a.req.Instance, election.ScoreFirstStart)
}

// lagged says whether a score is one with which a standby is not to be promoted because of
// what it may lack, where the administrator has set a limit to that: it lagged, was not
// connected, or has not streamed since a promotion of it was refused. Without a limit the
// best of those that are there will do.
func (a *agent) lagged(score int) bool {
	return a.conf.maxLag > 0 && slices.Contains([]int{election.ScoreNotReady, election.ScoreNotConnected, election.ScoreBanned}, score)
}

// reachesEnd says whether a node holds all that the primary of the record wrote before it
// was shut down, as that one has told: PostgreSQL sends it all to who is connected then.
func (a *agent) reachesEnd(ctx context.Context, v election.Vacancy, node string) bool {
	if v.Record == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, attributeWait)
	defer cancel()
	end, told, err := a.position(ctx, v.Record.Node, attrShutdown)
	if err != nil || !told {
		return false
	}
	i := slices.IndexFunc(v.Votes, func(o election.Vote) bool { return o.Node == node })
	return i >= 0 && election.Compare(v.Votes[i].Position, end) == election.Complete
}

// hold takes the scores away, so that Pacemaker does not ask for a promotion again that
// can only be refused again, until a start or a monitor finds the votes that are awaited.
// A node whose instance is stopped has a score too, and would pass for a candidate.
// This node is banned until it streams or is nominated: a location rule for it would
// make up for any other score.
func (a *agent) hold(ctx context.Context, self string) error {
	members, err := a.crm.Members(ctx)
	if err != nil {
		return err
	}
	scores, err := a.readScores(ctx, members)
	wanted := map[string]int{}
	for node, score := range scores {
		if score >= 0 {
			wanted[node] = election.ScoreHeld
		}
	}
	wanted[self] = election.ScoreBannedHeld
	failpoint.Hit("promote-hold")
	_, writeErr := a.writeScores(ctx, scores, wanted)
	return errors.Join(err, writeErr)
}
