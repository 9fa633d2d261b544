package agent

import (
	"cmp"
	"context"
	"errors"
	"time"

	"pgsqlms/internal/election"
	"pgsqlms/internal/failpoint"
)

// earlyWait is how long votes are waited for before a promotion begins. They are given
// at the same time, by notifications that Pacemaker waits for anyway, in some tens of
// milliseconds; but a cluster under load runs one notification after the other
// (load-threshold), and then the others' may come after this one.
const earlyWait = 400 * time.Millisecond

// stepAside hands the promotion over to a node that holds more, before it begins. A
// promotion that is refused has failed: Pacemaker stops and starts the instance, and
// only then promotes the other one. When a score changes while notifications are under
// way it breaks the transition off and computes another (Transient attribute change),
// and nothing has failed. A vote may still be one from before this transition, or be
// missing: then the promotion begins, and has the last word.
func (a *agent) stepAside(ctx context.Context, self string, t election.Transition) error {
	voters := without(t.Voters, self)
	if len(voters) == 0 {
		return nil
	}
	var told evidence
	var me election.Vote
	var record *election.Record
	err := sideBySide(
		func() { told = a.gatherWith(ctx, self, t, a.earlyVotes) },
		func() (err error) { me, record, err = a.ownVote(ctx, self); return err })
	if err == nil && told.asked == nil && len(told.votes) < len(voters) { // it has taken its time itself
		told.votes, told.asked = a.earlyVotes(ctx, voters)
	}
	if err = cmp.Or(err, told.asked); err != nil || len(told.votes) < len(voters) {
		return err
	}
	o := a.outcome(me, record, t, told)
	if o.Winner == "" || o.Winner == self {
		return nil
	}
	a.log.Infof("%s holds more WAL (%s) than this node (%s): stepping aside before the promotion begins",
		o.Winner, shown(o.Position), shown(me.Position))
	failpoint.Hit("notify-aside")
	if err := a.writeBoth(ctx, o.Winner, self, election.ScoreFirstStart); err != nil {
		return err
	}
	return errors.Join(a.awaitScore(ctx, o.Winner, election.ScoreBest), a.awaitScore(ctx, self, election.ScoreFirstStart))
}

// earlyVotes are those of all nodes, once they are there, or none when the time is over.
func (a *agent) earlyVotes(ctx context.Context, nodes []string) (votes []election.Vote, err error) {
	began := time.Now()
	wait, cancel := context.WithTimeout(ctx, attributeWait)
	defer cancel()
	err = poll(wait, attributeEvery, func() (bool, error) {
		found, missing, err := a.votesOf(wait, nodes, true)
		if votes = inOrder(nodes, found); len(missing) > 0 {
			votes = nil
		}
		return len(missing) == 0 || time.Since(began) > earlyWait, err
	})
	return votes, err
}

// awaitScore waits until a score stands in the CIB: by then Pacemaker's coordinator has
// heard of it, or is about to. Should it fire the promotion all the same, that is refused.
func (a *agent) awaitScore(ctx context.Context, node string, score int) error {
	ctx, cancel := context.WithTimeout(ctx, attributeWait)
	defer cancel()
	return poll(ctx, attributeEvery, func() (bool, error) {
		stored, ok, err := a.crm.StoredScore(ctx, node, a.req.Instance)
		return ok && stored == score, err
	})
}
