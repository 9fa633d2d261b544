package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"pgsqlms/internal/election"
	"pgsqlms/internal/ocf"
	"pgsqlms/internal/pg"
	"pgsqlms/internal/wal"
)

const (
	// attributeWait bounds the wait for a private attribute of another node. Attribute
	// managers exchange them in milliseconds; a node that has said nothing for seconds
	// has nothing to say.
	attributeWait = 2 * time.Second

	// attributeEvery is the pause between two questions, each a short process.
	attributeEvery = 30 * time.Millisecond
)

// promote makes the standby the primary, if it may, and returns as soon as it accepts
// writes. The checkpoint that PostgreSQL then makes is not waited for.
func (a *agent) promote(ctx context.Context) (ocf.ExitCode, error) {
	conn, err := a.db.Connect(ctx)
	if err != nil {
		return a.promoteUnanswered(err)
	}
	defer conn.Close()
	status, err := conn.Status(ctx)
	if err != nil {
		return refuse(reasonAsk.Because(err, a.conf.dataDir))
	}
	if !status.InRecovery {
		return ocf.Success, nil
	}
	if err := a.mayPromote(ctx, status); err != nil {
		return refuse(err)
	}
	if err := a.db.Promote(ctx); err != nil {
		return refuse(reasonPromote.Because(err, a.conf.dataDir))
	}
	if err := a.awaitWrites(ctx, conn); err != nil {
		return refuse(reasonPromote.Because(err, a.conf.dataDir))
	}
	a.rememberPromotion()
	return ocf.Success, nil
}

func (a *agent) promoteUnanswered(asked error) (ocf.ExitCode, error) {
	processes, err := a.db.Processes()
	if err == nil && processes.Postmaster == 0 {
		return refuse(reasonNotRunning.With(a.conf.dataDir, "promote"))
	}
	return refuse(reasonAsk.Because(asked, a.conf.dataDir))
}

// awaitWrites asks over the connection that was open before: a promotion does not
// close it.
func (a *agent) awaitWrites(ctx context.Context, conn *pg.Conn) error {
	return poll(ctx, pollEvery, func() (bool, error) {
		inRecovery, err := conn.InRecovery(ctx)
		return err == nil && !inRecovery, err
	})
}

// mayPromote refuses a promotion that could lose what another node holds.
func (a *agent) mayPromote(ctx context.Context, status pg.Status) error {
	if !a.req.Notify.Present() {
		if a.req.Node() != "" { // the cluster asks, and says nothing: notify is off
			v, _ := a.req.Meta("notify")
			return reasonNotify.With(v)
		}
		return a.mayPromoteByHand(status)
	}
	if err := a.req.Notify.Problem(); err != nil {
		return reasonNotifyLists.Because(err)
	}
	self, err := a.nodeName(ctx)
	if err != nil {
		return err
	}
	position, err := a.db.Position(ctx)
	if err != nil {
		return reasonAsk.Because(err, a.conf.dataDir)
	}
	return a.decide(ctx, election.Vote{Node: self, Position: position}, a.transition())
}

// mayPromoteByHand is for crm_resource --force-promote, where no other node can be
// asked for a vote. As long as WAL comes in, there is a primary.
func (a *agent) mayPromoteByHand(status pg.Status) error {
	if status.Receiver != nil && status.Receiver.Status == "streaming" {
		return reasonByHand.With(a.conf.dataDir)
	}
	a.log.Warnf("promoted by hand: no node was asked whether it holds more WAL")
	return nil
}

// decide asks for what this kind of promotion needs to be safe.
func (a *agent) decide(ctx context.Context, me election.Vote, t election.Transition) error {
	a.log.Infof("%s: this node is the candidate, with WAL up to %s", t.Kind, shown(me.Position))
	if t.Kind == election.Switchover {
		return a.maySwitchOver(ctx, me, t.OldPrimary)
	}
	if t.Kind == election.Handover {
		a.warnOfLoss(ctx, me, t.OldPrimary)
	}
	return a.elect(ctx, me, t.Voters)
}

// maySwitchOver needs proof that the candidate holds everything the old primary
// wrote. Nobody else can then hold more.
func (a *agent) maySwitchOver(ctx context.Context, me election.Vote, old string) error {
	end, verdict, err := a.awaitEnd(ctx, me, old)
	switch verdict {
	case election.Complete:
		return nil
	case election.Incomplete:
		return a.cancel(ctx, me, reasonSwitchover.With(shown(me.Position), old, shown(end)))
	}
	return a.mayFollowSilent(ctx, me, old, err)
}

// cancel keeps Pacemaker from trying the same again at once.
func (a *agent) cancel(ctx context.Context, me election.Vote, reason *ocf.Error) error {
	if err := a.crm.SetScore(ctx, me.Node, a.req.Instance, election.ScoreBanned); err != nil {
		a.log.Warnf("Pacemaker may try this switchover again: %v", err)
	}
	return reason
}

// mayFollowSilent is for an old primary that published nothing, as PAF does not: its
// last record was the checkpoint of its shutdown, so the candidate's must be one.
func (a *agent) mayFollowSilent(ctx context.Context, me election.Vote, old string, silence error) error {
	complete, err := a.endsWithShutdown(ctx, me.Position)
	wait, cancel := context.WithTimeout(ctx, attributeWait)
	defer cancel()
	if vote, ok, _ := a.position(wait, old, attrVote); ok && election.Compare(me.Position, vote) == election.Incomplete {
		return a.cancel(ctx, me, reasonSwitchover.With(shown(me.Position), old, shown(vote)))
	}
	if err != nil || !complete {
		return a.cancel(ctx, me, reasonNoEvidence.Because(errors.Join(silence, err), old, attributeWait, shown(me.Position)))
	}
	a.log.Warnf("the old primary %s did not say where its WAL ends (is it run by PAF?); the last record here, before %s, is a shutdown checkpoint",
		old, shown(me.Position))
	return nil
}

// awaitEnd waits for what the old primary published at the end of its demotion.
func (a *agent) awaitEnd(ctx context.Context, me election.Vote, old string) (end wal.Position, v election.Verdict, err error) {
	wait, cancel := context.WithTimeout(ctx, attributeWait)
	defer cancel()
	var last error
	err = poll(wait, attributeEvery, func() (bool, error) {
		var ok bool
		if end, ok, last = a.position(wait, old, attrShutdown); last != nil || !ok {
			return false, nil
		}
		v = election.Compare(me.Position, end)
		return v != election.Unknown, nil
	})
	if last != nil {
		err = last
	}
	if errors.Is(err, context.DeadlineExceeded) {
		err = nil // said by the reason itself
	}
	return end, v, err
}

// warnOfLoss says what an old primary that an administrator stopped had written and
// this node has not. It does not cancel: that primary is not there to come back.
func (a *agent) warnOfLoss(ctx context.Context, me election.Vote, old string) {
	ctx, cancel := context.WithTimeout(ctx, attributeWait)
	defer cancel()
	end, ok, err := a.position(ctx, old, attrShutdown)
	if err == nil && ok && election.Compare(me.Position, end) == election.Incomplete {
		a.log.Warnf("the old primary %s wrote WAL up to %s, this node has it up to %s: if no other node has more, what lies between is lost, and %s must be rebuilt",
			old, shown(end), shown(me.Position), old)
	}
}

// position is a private attribute that holds a position.
func (a *agent) position(ctx context.Context, node, name string) (wal.Position, bool, error) {
	value, ok, err := a.crm.Private(ctx, node, a.attribute(name))
	if err != nil || !ok {
		return wal.Position{}, false, err
	}
	p, err := wal.ParsePosition(value)
	if err != nil {
		return wal.Position{}, false, fmt.Errorf("%w: attribute %s of %s: %w", errNoVote, a.attribute(name), node, err)
	}
	return p, true, nil
}

// elect gathers the votes of the nodes that run an instance, and hands the promotion
// to the one that holds the most WAL when that is not this node.
func (a *agent) elect(ctx context.Context, me election.Vote, voters []string) error {
	others := slices.DeleteFunc(slices.Clone(voters), func(n string) bool { return n == me.Node })
	votes, err := a.votes(ctx, others)
	if err != nil {
		return reasonVotes.Because(err)
	}
	winner := election.Elect(me, votes)
	if winner.Node == me.Node {
		return nil
	}
	err = a.writeBoth(ctx, winner.Node, me.Node)
	return reasonBetter.Because(err, winner.Node, shown(winner.Position), shown(me.Position))
}

// writeBoth makes Pacemaker prefer the winner over this node.
func (a *agent) writeBoth(ctx context.Context, winner, loser string) error {
	_, err := a.writeScores(ctx, nil, map[string]int{
		winner: election.ScoreBest, loser: election.ScoreFirstStart,
	})
	return err
}

// votes waits for the votes of others, side by side. A node that has given none counts
// as absent; an attribute manager that cannot be asked is an error.
func (a *agent) votes(ctx context.Context, others []string) ([]election.Vote, error) {
	wait, cancel := context.WithTimeout(ctx, attributeWait)
	defer cancel()
	var mu sync.Mutex
	found := map[string]wal.Position{}
	err := forEach(others, func(node string) error {
		p, err := a.awaitVote(wait, node)
		mu.Lock()
		defer mu.Unlock()
		if errors.Is(err, errNoVote) {
			a.log.Warnf("%s counts as absent: %v", node, err)
			return nil
		}
		found[node] = p
		return err
	})
	if err != nil {
		return nil, err
	}
	var votes []election.Vote
	for _, node := range others {
		if p, ok := found[node]; ok {
			a.log.Infof("vote of %s: WAL up to %s", node, shown(p))
			votes = append(votes, election.Vote{Node: node, Position: p})
		}
	}
	return votes, nil
}

// errNoVote says that the node has published no vote, or none that can be read;
// errNoAnswer, that nobody could tell.
var (
	errNoVote   = errors.New("no vote")
	errNoAnswer = errors.New("the attribute manager does not answer")
)

func (a *agent) awaitVote(ctx context.Context, node string) (p wal.Position, err error) {
	failure := errNoAnswer
	err = poll(ctx, attributeEvery, func() (bool, error) {
		found, ok, err := a.position(ctx, node, attrVote)
		switch {
		case err == nil:
			failure = errNoVote
		case ctx.Err() == nil:
			failure = err
		}
		p = found
		return ok, nil
	})
	switch {
	case err == nil:
		return p, nil
	case errors.Is(failure, errNoVote), errors.Is(failure, errNoAnswer):
		return p, fmt.Errorf("%w within %s", failure, attributeWait)
	}
	return p, failure
}

// rememberPromotion leaves the monitors a note: who voted has a claim to a score
// before it is connected, and what was published is to be taken back.
func (a *agent) rememberPromotion() {
	a.remember(memory{Promoted: time.Now(), Voters: a.transition().Voters, Published: true})
}

// shown is a position as PostgreSQL's own messages have it.
func shown(p wal.Position) string { return fmt.Sprintf("%s on timeline %d", p.LSN, p.Timeline) }
