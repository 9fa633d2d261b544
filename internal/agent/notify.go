package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"pgsqlms/internal/election"
	"pgsqlms/internal/failpoint"
	"pgsqlms/internal/ocf"
	"pgsqlms/internal/pg"
)

// notify prepares the actions of a transition. Pacemaker ignores its result, so it
// always succeeds, and what promote must know travels in private attributes. All other
// actions of a transition wait for it, so it does nothing that can wait: the clean-up
// after a promotion is left to the new primary's monitors.
func (a *agent) notify(ctx context.Context) (ocf.ExitCode, error) {
	phases := map[string]func(context.Context) error{
		"pre-start":   a.beforeStart,
		"pre-demote":  a.beforeDemote,
		"pre-promote": a.beforePromote,
	}
	do, ours := phases[a.req.Notify.Phase()]
	if !ours {
		return ocf.Success, nil
	}
	if err := do(ctx); err != nil {
		a.log.Warnf("notification %s: %v", a.req.Notify.Phase(), err)
	}
	return ocf.Success, nil
}

// beforeDemote makes the primary write its dirty buffers while it still takes writes,
// so that the shutdown has little left to write.
func (a *agent) beforeDemote(ctx context.Context) error {
	if !slices.Contains(a.req.Notify.Demote, a.req.Node()) {
		return nil
	}
	conn, err := a.connectToPrimary(ctx)
	if err != nil {
		a.log.Infof("no checkpoint before the demotion: %v", err)
		return nil
	}
	defer conn.Close()
	failpoint.Hit("notify-checkpoint")
	return conn.Checkpoint(ctx)
}

// connectToPrimary gives up soon on one that hangs: the transition waits for it.
func (a *agent) connectToPrimary(ctx context.Context) (*pg.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, roleWait)
	defer cancel()
	conn, err := a.db.Connect(ctx)
	if err != nil {
		return nil, err
	}
	inRecovery, err := conn.InRecovery(ctx)
	if err == nil && inRecovery {
		err = errors.New("it is a standby")
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// beforePromote is the vote: where this node's WAL ends. The candidate looks whether it
// should be one. In a switchover a candidate of ours needs the old primary's word only;
// the vote is for one that runs PAF, which waits for it, so we do not.
func (a *agent) beforePromote(ctx context.Context) error {
	if err := a.req.Notify.Problem(); err != nil {
		return err
	}
	self, t := a.req.Node(), a.transition()
	if !slices.Contains(t.Voters, self) || self == t.Candidate && t.Kind == election.Switchover {
		return nil
	}
	if self == t.Candidate {
		return a.stepAside(ctx, self, t)
	}
	failpoint.Hit("notify-vote")
	if t.Kind == election.Switchover {
		return a.voteForPAF(ctx, self)
	}
	vote, err := a.insistOnVote(ctx, self)
	if err != nil {
		return fmt.Errorf("this node cannot vote: %w", err)
	}
	if err := a.publishVote(ctx, vote); err != nil {
		return err
	}
	failpoint.Hit("notify-voted")
	return a.awaitVoteShown(ctx, vote)
}

// voteWait bounds the wait for a connection slot to vote by. All others wait for it, and
// it is as long as PostgreSQL gets to answer.
const voteWait = 3 * time.Second

// insistOnVote tries again while every connection slot is taken: a node that cannot vote
// counts as absent, and the promotion may have to wait for it.
func (a *agent) insistOnVote(ctx context.Context, self string) (v election.Vote, err error) {
	wait, cancel := context.WithTimeout(ctx, voteWait)
	defer cancel()
	err = askWhile(wait,
		func(err error) bool { return noSlot(wait, err) },
		func() (err error) { v, _, err = a.ownVote(ctx, self); return err })
	return v, err
}

// awaitVoteShown waits until both parts of a vote can be read back.
func (a *agent) awaitVoteShown(ctx context.Context, v election.Vote) error {
	return errors.Join(
		a.awaitAttribute(ctx, v.Node, a.attribute(attrBallot), v.Ballot()),
		a.awaitAttribute(ctx, v.Node, a.attribute(attrVote), v.Position.String()))
}

// voteForPAF publishes what PAF reads, and nobody waits for it. The ballot, of no
// record, keeps it from being counted in a later election.
func (a *agent) voteForPAF(ctx context.Context, self string) error {
	s, err := a.db.Standing(ctx)
	if err != nil {
		return fmt.Errorf("this node cannot vote: %w", err)
	}
	v, err := a.voteOf(self, s)
	if err != nil {
		return fmt.Errorf("this node cannot vote: %w", err)
	}
	return a.publishVote(ctx, v)
}

// awaitAttribute waits until a value can be read back: attrd answers an update before
// it is applied, and until then a vote from an earlier transition stands there.
func (a *agent) awaitAttribute(ctx context.Context, node, name, want string) error {
	ctx, cancel := context.WithTimeout(ctx, attributeWait)
	defer cancel()
	return poll(ctx, attributeEvery, func() (bool, error) {
		value, ok, err := a.crm.Private(ctx, node, name)
		return ok && value == want, err
	})
}
