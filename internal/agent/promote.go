package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"pgsqlms/internal/election"
	"pgsqlms/internal/failpoint"
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
	failpoint.Hit("promote-begin")
	defer a.beside.Wait()
	conn, status, err := a.candidate(ctx)
	if err != nil {
		return a.promoteUnanswered(err)
	}
	defer conn.Close()
	if !status.InRecovery {
		return a.promoteAgain(ctx, status)
	}
	if err := a.prepare(ctx, status); err != nil {
		return refuse(err)
	}
	failpoint.Hit("promote-decided")
	if err := a.db.Promote(ctx); err != nil {
		return refuse(reasonPromote.Because(err, a.conf.dataDir))
	}
	failpoint.Hit("promote-told")
	if err := a.awaitWrites(ctx, conn); err != nil {
		return refuse(reasonPromote.Because(err, a.conf.dataDir))
	}
	failpoint.Hit("promote-writes")
	a.rememberPromotion()
	return ocf.Success, nil
}

// answerPart is the part of a promotion's time in which a candidate must answer: with the
// suggested timeout, as long as a monitor. Nobody else is promoted before it has failed.
const answerPart = 0.2

// candidate connects to the instance that is to be promoted. One that starts up has until
// the end of answerPart: when one of its backends dies, PostgreSQL ends all sessions and
// recovers by itself, and a promotion that comes by then would fail for no reason.
func (a *agent) candidate(ctx context.Context) (conn *pg.Conn, status pg.Status, err error) {
	ctx, cancel := part(ctx, answerPart)
	defer cancel()
	err = a.insistently(ctx, func() error {
		conn, err = a.db.Connect(ctx)
		if err != nil {
			return err
		}
		status, err = conn.Status(ctx)
		if err != nil {
			conn.Close()
		}
		return err
	})
	return conn, status, err
}

// promoteAgain is for an instance that is a primary already: by a promotion that was cut
// short and completed meanwhile, or by somebody's hand, beside the cluster.
func (a *agent) promoteAgain(ctx context.Context, status pg.Status) (ocf.ExitCode, error) {
	if !a.req.Notify.Present() {
		return ocf.Success, nil
	}
	self, err := a.nodeName(ctx)
	if err != nil {
		return refuse(err)
	}
	h, err := a.history(status.Current.Timeline)
	if err != nil {
		return refuse(reasonAsk.Because(err, a.conf.dataDir))
	}
	record, err := a.record(ctx)
	if err != nil {
		return refuse(reasonOwnVote.Because(err))
	}
	if record != nil && !record.Claims(self, h) {
		return refuse(reasonStranger.With(a.conf.dataDir, h.Timeline, record.Node, record.History.Timeline))
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

// prepare refuses a promotion that could lose what another node holds, and makes one
// that may go on known to the cluster.
func (a *agent) prepare(ctx context.Context, status pg.Status) error {
	if !a.req.Notify.Present() {
		if a.req.Node() != "" { // the cluster asks, and says nothing: notify is off
			v, _ := a.req.Meta("notify")
			return reasonUntold.Because(a.hold(ctx, a.req.Node()), v)
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
	t := a.transition()
	var me election.Vote
	var record *election.Record
	var told evidence
	err = sideBySide(
		func() { told = a.gather(ctx, self, t) },
		func() (err error) { me, record, err = a.awaitOwnVote(ctx, self); return err })
	if err != nil {
		return reasonOwnVote.Because(errors.Join(err, a.hold(ctx, self)))
	}
	votes, err := a.decide(ctx, me, record, t, told)
	if err != nil {
		return err
	}
	return a.begin(ctx, me, votes, record, status)
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

// evidence is what other nodes have told, for a promotion to be judged by.
type evidence struct {
	votes []election.Vote
	asked error // what went wrong with the votes

	// Where the WAL of the old primary ended, zero where it said nothing, by now.
	end      wal.Position
	endAsked error
}

// gather asks for what does not hang on what this node holds.
func (a *agent) gather(ctx context.Context, self string, t election.Transition) (e evidence) {
	votes := a.votes
	if t.Kind == election.Switchover { // where nobody has to vote
		votes = a.presentVotes
	}
	return a.gatherWith(ctx, self, t, votes)
}

func (a *agent) gatherWith(ctx context.Context, self string, t election.Transition, votes func(context.Context, []string) ([]election.Vote, error)) (e evidence) {
	var running sync.WaitGroup
	running.Go(func() { e.end, e.endAsked = a.endOf(ctx, t.OldPrimary) })
	e.votes, e.asked = votes(ctx, without(t.Voters, self))
	running.Wait()
	return e
}

// decide says whether this kind of promotion is safe. It returns the votes it was told of.
func (a *agent) decide(ctx context.Context, me election.Vote, record *election.Record, t election.Transition, told evidence) ([]election.Vote, error) {
	a.log.Infof("%s: this node is the candidate, with WAL up to %s", t.Kind, shown(me.Position))
	if t.Kind == election.Switchover {
		if !record.Follows(me) {
			return nil, a.cancel(ctx, me, reasonNoLineage.With("this node has left the cluster's timelines, it is at "+shown(me.Position)))
		}
		if began := record.Began(t.OldPrimary); me.Position.Timeline < began {
			return nil, a.cancel(ctx, me, reasonNoLineage.With(fmt.Sprintf(
				"this node has nothing of what %s wrote on timeline %d, it is at %s", t.OldPrimary, began, shown(me.Position))))
		}
		return told.votes, cmp.Or(a.maySwitchOver(ctx, me, t.OldPrimary, told), told.asked)
	}
	return a.elect(ctx, me, record, t, told)
}

// sideBySide does something while something else is asked, and gives the answer. Each
// question to the cluster is a process, and the clients wait for all of them.
func sideBySide(also func(), ask func() error) error {
	var running sync.WaitGroup
	running.Go(also)
	defer running.Wait()
	return ask()
}

func without(nodes []string, self string) []string {
	return slices.DeleteFunc(slices.Clone(nodes), func(n string) bool { return n == self })
}

// maySwitchOver needs proof that the candidate holds everything the old primary
// wrote. Nobody else can then hold more.
func (a *agent) maySwitchOver(ctx context.Context, me election.Vote, old string, told evidence) error {
	end, verdict, err := a.awaitEnd(ctx, me, old, told)
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

// awaitEnd waits for what the old primary published in its demotion, where it has not been
// told yet.
func (a *agent) awaitEnd(ctx context.Context, me election.Vote, old string, told evidence) (end wal.Position, v election.Verdict, err error) {
	if v = election.Compare(me.Position, told.end); told.end != (wal.Position{}) && v != election.Unknown {
		return told.end, v, nil
	}
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

// elect counts the votes of the nodes that run an instance. The promotion goes to the
// one that holds the most WAL of the cluster's own lineage, and waits when a vote is
// missing without which an acknowledged commit might be lost.
func (a *agent) elect(ctx context.Context, me election.Vote, record *election.Record, t election.Transition, told evidence) ([]election.Vote, error) {
	if told.asked != nil {
		return nil, reasonVotes.Because(told.asked)
	}
	o := a.outcome(me, record, t, told)
	a.log.Infof("%s", o)
	switch {
	case o.Winner == me.Node:
		return told.votes, nil
	case o.Winner != "":
		err := a.writeBoth(ctx, o.Winner, me.Node, a.losersScore(ctx, o.Winner, me.Node))
		return nil, reasonBetter.Because(err, o.Winner, shown(o.Position), shown(me.Position))
	}
	return nil, a.await(ctx, o)
}

// outcome is the election's. An old primary that was stopped cleanly counts as a voter
// that cannot win.
func (a *agent) outcome(me election.Vote, record *election.Record, t election.Transition, told evidence) election.Outcome {
	if told.endAsked != nil {
		a.log.Infof("the end of the WAL of %s is not known: %v", t.OldPrimary, told.endAsked)
	}
	votes, end := told.votes, told.end
	if t.Kind == election.Handover && end.Timeline == me.Position.Timeline {
		votes = append(slices.Clone(votes), election.Vote{
			Node: t.OldPrimary, Position: end, History: me.History, Serial: me.Serial, Witness: true,
		})
	}
	return election.Decide(election.Question{Candidate: me, Others: votes, Record: record, OldPrimary: t.OldPrimary, End: end, Guard: a.conf.guard})
}

// endOf is where the WAL of an old primary ended that was stopped cleanly, zero when it
// said nothing, as one that died.
func (a *agent) endOf(ctx context.Context, old string) (wal.Position, error) {
	if old == "" {
		return wal.Position{}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, attributeWait)
	defer cancel()
	end, _, err := a.position(ctx, old, attrShutdown)
	return end, err
}

// await takes the promotion off Pacemaker's list until somebody comes back.
func (a *agent) await(ctx context.Context, o election.Outcome) error {
	a.trouble(ctx, o.String())
	err := a.hold(ctx, a.node)
	if len(o.Awaits) == 0 {
		return reasonNoLineage.Because(err, o)
	}
	return reasonAwaits.Because(err, o)
}

// losersScore is for a node whose promotion is refused. Where it has stepped aside
// before, and was chosen all the same, a location rule, of a move perhaps, is stronger than
// any score but Pacemaker's -INFINITY.
func (a *agent) losersScore(ctx context.Context, winner, loser string) int {
	ctx, cancel := context.WithTimeout(ctx, attributeWait)
	defer cancel()
	scores, err := a.readScores(ctx, []string{winner, loser})
	if err == nil && scores[winner] == election.ScoreBest && scores[loser] == election.ScoreFirstStart {
		return election.ScoreBanned
	}
	return election.ScoreFirstStart
}

// writeBoth makes Pacemaker prefer the winner over this node.
func (a *agent) writeBoth(ctx context.Context, winner, loser string, score int) error {
	_, err := a.writeScores(ctx, nil, map[string]int{winner: election.ScoreBest, loser: score})
	return err
}

// rememberPromotion leaves the monitors a note: who voted has a claim to a score
// before it is connected, and what was published is to be taken back.
func (a *agent) rememberPromotion() {
	m := a.store.load().lasting()
	m.Promoted, m.Voters, m.Published = time.Now(), a.transition().Voters, true
	a.remember(m)
}

// shown is a position as PostgreSQL's own messages have it.
func shown(p wal.Position) string { return fmt.Sprintf("%s on timeline %d", p.LSN, p.Timeline) }
