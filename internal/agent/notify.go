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
	"pgsqlms/metadata"
)

// prePromote is the phase of the vote.
const prePromote = "pre-promote"

// phases are those of a notification in which there is something to do.
var phases = map[string]func(*agent, context.Context) error{
	"pre-start":  (*agent).beforeStart,
	"pre-demote": (*agent).beforeDemote,
	prePromote:   (*agent).beforePromote,
}

// idle says whether a request is a notification that asks for nothing. Most do, Pacemaker waits
// for each on all nodes, and clients wait for Pacemaker: so not even the parameters are read.
func idle(r ocf.Request) bool {
	if r.Action != metadata.Notify {
		return false
	}
	phase := r.Notify.Phase()
	if phase == prePromote { // in a switchover nobody votes
		return r.Notify.Problem() == nil && election.Classify(lists(r.Notify)).Kind == election.Switchover
	}
	return phases[phase] == nil
}

// notify prepares the actions of a transition. Pacemaker ignores its result, so it
// always succeeds, and what promote must know travels in private attributes. All other
// actions of a transition wait for it, so it does nothing that can wait: the clean-up
// after a promotion is left to the new primary's monitors.
func (a *agent) notify(ctx context.Context) (ocf.ExitCode, error) {
	if err := phases[a.req.Notify.Phase()](a, ctx); err != nil { // the others are idle
		a.log.Warnf("notification %s: %v", a.req.Notify.Phase(), err)
	}
	return ocf.Success, nil
}

// beforeDemote is for what a demotion and a promotion would have to wait for, as long as
// clients can still write.
func (a *agent) beforeDemote(ctx context.Context) error {
	var vote error
	checkpoint := sideBySide(
		func() { vote = a.voteForPAF(ctx, a.req.Node()) },
		func() error { return a.checkpoint(ctx) })
	return errors.Join(vote, checkpoint)
}

const (
	// shortCheckpoint is one after which the shutdown's will be short, too: between the two
	// less is written than before this one.
	shortCheckpoint = 200 * time.Millisecond

	// checkpoints is how many are made at most. Each one that follows has only to write
	// what became dirty during the one before.
	checkpoints = 3
)

// checkpoint makes a primary that is to be demoted write its dirty buffers, so that the
// shutdown has little left to write. One that took long is followed by another one, as long
// as half of the action's time is left and another node waits for the role.
func (a *agent) checkpoint(ctx context.Context) error {
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
	for range checkpoints {
		began := time.Now()
		if err := conn.Checkpoint(ctx); err != nil {
			return err
		}
		if time.Since(began) < shortCheckpoint || time.Until(a.req.Deadline) < a.req.Timeout/2 || !a.succeeded() {
			break
		}
	}
	return nil
}

// succeeded says whether another node is promoted next. Where nobody is, what is written
// until the demotion is lost to most, and that should not be put off.
func (a *agent) succeeded() bool {
	return len(without(a.req.Notify.Promote, a.req.Node())) > 0
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
// should be one. In a switchover it needs the old primary's word only.
func (a *agent) beforePromote(ctx context.Context) error {
	if err := a.req.Notify.Problem(); err != nil {
		return err
	}
	self, t := a.req.Node(), a.transition()
	if !slices.Contains(t.Voters, self) {
		return nil
	}
	if self == t.Candidate {
		return a.stepAside(ctx, self, t)
	}
	failpoint.Hit("notify-vote")
	vote, err := a.insistOnVote(ctx, self)
	if err != nil {
		return fmt.Errorf("this node cannot vote: %w", err)
	}
	if err := a.publishVote(ctx, vote); err != nil {
		return err
	}
	failpoint.Hit("notify-voted")
	a.followLater(ctx)
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
	err = askWhile(wait, pg.IsTooManyConnections,
		func() (err error) { v, _, err = a.ownVote(ctx, self); return err })
	return v, err
}

// awaitVoteShown waits until both parts of a vote can be read back.
func (a *agent) awaitVoteShown(ctx context.Context, v election.Vote) error {
	return forEach([][2]string{{attrBallot, v.Ballot()}, {attrVote, v.Position.String()}}, func(part [2]string) error {
		return a.awaitAttribute(ctx, v.Node, a.attribute(part[0]), part[1])
	})
}

// voteForPAF is for a switchover's candidate that runs PAF: it wants a vote from every node,
// none of which holds more than it does after the old primary's clean shutdown. Given before
// that, with the WAL there is by then, it costs the clients no time. The ballot, of no record,
// keeps it from being counted in a later election.
func (a *agent) voteForPAF(ctx context.Context, self string) error {
	t := a.transition()
	if a.req.Notify.Problem() != nil || t.Kind != election.Switchover || self == t.Candidate || !slices.Contains(t.Voters, self) {
		return nil
	}
	failpoint.Hit("notify-vote")
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
