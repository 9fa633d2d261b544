package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"pgsqlms/internal/election"
	"pgsqlms/internal/failpoint"
	"pgsqlms/internal/pg"
	"pgsqlms/internal/wal"
)

// ownVote is what this node holds, and the record that it was held against.
func (a *agent) ownVote(ctx context.Context, self string) (election.Vote, *election.Record, error) {
	var record *election.Record
	var recordErr error
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		wait, cancel := context.WithTimeout(ctx, attributeWait)
		defer cancel()
		record, recordErr = a.record(wait)
	}()
	s, err := a.db.Standing(ctx)
	<-asked
	switch {
	case err != nil:
		return election.Vote{}, nil, fmt.Errorf("the instance in %s: %w", a.conf.dataDir, err)
	case recordErr != nil:
		return election.Vote{}, nil, recordErr
	case !s.Whole():
		return election.Vote{}, nil, fmt.Errorf("%w: it has replayed it up to %s", errReplaying, shown(s.Replayed))
	}
	v, err := a.voteOf(self, s)
	if record != nil {
		v.Serial = record.Serial
	}
	return v, record, err
}

// ownVotePart is the part of a promotion's time in which the instance may still find out
// what it holds; what is left is for the promotion.
const ownVotePart = 0.5

// ownVotePatience is how long whatever else goes wrong is taken for something that passes:
// five times what one question to the cluster may take. ownVoteEvery is the pause between
// two attempts.
const (
	ownVotePatience = 5 * attributeWait
	ownVoteEvery    = connectEvery
)

// awaitOwnVote waits for an instance that still replays what it found at its start, and
// tries again what fails: a promotion that cannot count its own vote takes the scores of
// all nodes away, which one slow process is no reason for. A record that is not to be
// understood does not pass.
func (a *agent) awaitOwnVote(ctx context.Context, self string) (v election.Vote, r *election.Record, err error) {
	wait, cancel := part(ctx, ownVotePart)
	defer cancel()
	var asked error
	var failing time.Time // since when
	err = poll(wait, ownVoteEvery, func() (bool, error) {
		v, r, asked = a.ownVote(ctx, self)
		switch {
		case asked == nil:
			return true, nil
		case errors.Is(asked, errReplaying):
			failing = time.Time{}
			return false, nil
		case errors.Is(asked, election.ErrRecord):
			return false, asked
		case failing.IsZero():
			failing = time.Now()
		case time.Since(failing) > ownVotePatience:
			return false, asked
		}
		a.log.Infof("this node cannot tell yet how much WAL it holds: %v", asked)
		return false, nil
	})
	if errors.Is(err, context.DeadlineExceeded) && asked != nil {
		err = asked
	}
	return v, r, err
}

// errReplaying: the instance has not yet come to the end of the WAL it had when it was
// started, so it cannot tell how much it holds.
var errReplaying = errors.New("PostgreSQL still replays the WAL it found at its start")

func (a *agent) voteOf(self string, s pg.Standing) (election.Vote, error) {
	history, err := a.history(s.End.Timeline)
	if err != nil {
		return election.Vote{}, err
	}
	return election.Vote{Node: self, Position: s.End, History: history, Known: s.Known}, nil
}

// publishVote writes what PAF has no room for first: who sees the vote can then see
// the ballot too.
func (a *agent) publishVote(ctx context.Context, v election.Vote) error {
	ctx, cancel := context.WithTimeout(ctx, attributeWait)
	defer cancel()
	a.log.Infof("this node votes: WAL up to %s", shown(v.Position))
	if err := a.crm.SetPrivate(ctx, v.Node, a.attribute(attrBallot), v.Ballot()); err != nil {
		return err
	}
	failpoint.Hit("notify-ballot")
	return a.crm.SetPrivate(ctx, v.Node, a.attribute(attrVote), v.Position.String())
}

// votes waits for the votes of others. A node that has given none counts as absent; an
// attribute manager that cannot be asked is an error.
func (a *agent) votes(ctx context.Context, others []string) ([]election.Vote, error) {
	wait, cancel := context.WithTimeout(ctx, attributeWait)
	defer cancel()
	var found map[string]election.Vote
	var missing map[string]error
	asked := errNoAnswer
	last := time.Now().Add(attributeWait * 3 / 4) // by when the votes that there are have to do
	_ = poll(wait, attributeEvery, func() (bool, error) {
		f, m, err := a.votesOf(wait, others, time.Now().Before(last))
		if err == nil {
			found, missing, asked = f, m, nil
		} else if wait.Err() == nil {
			asked = err
		}
		return asked == nil && len(missing) == 0, nil
	})
	if errors.Is(asked, errNoAnswer) {
		asked = fmt.Errorf("%w within %s", asked, attributeWait)
	}
	if asked != nil {
		return nil, asked
	}
	for _, node := range others {
		if why, ok := missing[node]; ok {
			a.log.Warnf("%s counts as absent: %v within %s", node, why, attributeWait)
			continue
		}
		a.log.Infof("vote of %s: WAL up to %s", node, shown(found[node].Position))
	}
	return inOrder(others, found), nil
}

// presentVotes are the votes that stand at this moment.
func (a *agent) presentVotes(ctx context.Context, nodes []string) ([]election.Vote, error) {
	ctx, cancel := context.WithTimeout(ctx, attributeWait)
	defer cancel()
	found, _, err := a.votesOf(ctx, nodes, false)
	return inOrder(nodes, found), err
}

func inOrder(nodes []string, found map[string]election.Vote) []election.Vote {
	var votes []election.Vote
	for _, node := range nodes {
		if v, ok := found[node]; ok {
			votes = append(votes, v)
		}
	}
	return votes
}

// errNoVote says that the node has published no vote, or none that can be read;
// errNoAnswer, that nobody could tell.
var (
	errNoVote   = errors.New("no vote")
	errNoAnswer = errors.New("the attribute manager does not answer")
)

// votesOf are the votes that nodes have published, and why there is none of the others; of
// all of them together, as long as one is missing, there is none. Who voted had a ballot
// before, so the votes are asked for first.
func (a *agent) votesOf(ctx context.Context, nodes []string, together bool) (found map[string]election.Vote, missing map[string]error, err error) {
	found, missing = map[string]election.Vote{}, map[string]error{}
	if len(nodes) == 0 {
		return found, missing, nil
	}
	positions, err := a.crm.PrivateOfAll(ctx, a.attribute(attrVote))
	if err != nil {
		return nil, nil, err
	}
	voted := slices.DeleteFunc(slices.Clone(nodes), func(n string) bool { return positions[n] == "" })
	if together && len(voted) < len(nodes) {
		voted, positions = nil, nil
	}
	var ballots map[string]string
	if len(voted) > 0 {
		if ballots, err = a.crm.PrivateOfAll(ctx, a.attribute(attrBallot)); err != nil {
			return nil, nil, err
		}
	}
	for _, node := range nodes {
		if v, why := a.voteIn(node, positions[node], ballots[node]); why != nil {
			missing[node] = why
		} else {
			found[node] = v
		}
	}
	return found, missing, nil
}

// voteIn is what a node has published. Without a ballot it is a vote of PAF's agent; with
// one that belongs to another vote, it is on its way.
func (a *agent) voteIn(node, position, ballot string) (election.Vote, error) {
	if position == "" {
		return election.Vote{}, errNoVote
	}
	p, err := wal.ParsePosition(position)
	if err != nil {
		return election.Vote{}, fmt.Errorf("%w: attribute %s of %s: %w", errNoVote, a.attribute(attrVote), node, err)
	}
	if ballot == "" {
		return election.Vote{Node: node, Position: p}, nil
	}
	v, err := election.ParseBallot(node, ballot)
	if err != nil {
		return election.Vote{}, fmt.Errorf("%w: %w", errNoVote, err)
	}
	if v.Position != p {
		return election.Vote{}, errNoVote
	}
	return v, nil
}

// position is a private attribute that holds a position.
func (a *agent) position(ctx context.Context, node, name string) (wal.Position, bool, error) {
	value, ok, err := a.crm.Private(ctx, node, a.attribute(name))
	if err != nil || !ok {
		return wal.Position{}, false, err
	}
	p, err := wal.ParsePosition(value)
	if err != nil {
		return wal.Position{}, false, fmt.Errorf("attribute %s of %s: %w", a.attribute(name), node, err)
	}
	return p, true, nil
}
