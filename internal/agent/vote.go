package agent

import (
	"context"
	"errors"
	"fmt"
	"sync"
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
	ownVoteEvery    = 250 * time.Millisecond
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
	err = poll(wait, attributeEvery, func() (bool, error) {
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
		pause(wait, ownVoteEvery)
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

// vote is what a node has published. Without a ballot it is a vote of PAF's agent; with
// one that belongs to another vote, it is on its way.
func (a *agent) vote(ctx context.Context, node string) (election.Vote, bool, error) {
	p, ok, err := a.position(ctx, node, attrVote)
	if err != nil || !ok {
		return election.Vote{}, false, err
	}
	ofPAF := election.Vote{Node: node, Position: p}
	text, ok, err := a.crm.Private(ctx, node, a.attribute(attrBallot))
	if err != nil || !ok {
		return ofPAF, err == nil, err
	}
	v, err := election.ParseBallot(node, text)
	if err != nil {
		return election.Vote{}, false, fmt.Errorf("%w: %w", errNoVote, err)
	}
	return v, v.Position == p, nil
}

// votes waits for the votes of others, side by side. A node that has given none counts
// as absent; an attribute manager that cannot be asked is an error.
func (a *agent) votes(ctx context.Context, others []string) ([]election.Vote, error) {
	wait, cancel := context.WithTimeout(ctx, attributeWait)
	defer cancel()
	var mu sync.Mutex
	found := map[string]election.Vote{}
	err := forEach(others, func(node string) error {
		v, err := a.awaitVote(wait, node)
		mu.Lock()
		defer mu.Unlock()
		if errors.Is(err, errNoVote) {
			a.log.Warnf("%s counts as absent: %v", node, err)
			return nil
		}
		found[node] = v
		return err
	})
	if err != nil {
		return nil, err
	}
	return a.counted(others, found), nil
}

func (a *agent) counted(others []string, found map[string]election.Vote) []election.Vote {
	var votes []election.Vote
	for _, node := range others {
		if v, ok := found[node]; ok {
			a.log.Infof("vote of %s: WAL up to %s", node, shown(v.Position))
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

func (a *agent) awaitVote(ctx context.Context, node string) (v election.Vote, err error) {
	failure := errNoAnswer
	err = poll(ctx, attributeEvery, func() (bool, error) {
		found, ok, err := a.vote(ctx, node)
		switch {
		case err == nil:
			failure = errNoVote
		case ctx.Err() == nil:
			failure = err
		}
		v = found
		return ok, nil
	})
	switch {
	case err == nil:
		return v, nil
	case errors.Is(failure, errNoVote), errors.Is(failure, errNoAnswer):
		return v, fmt.Errorf("%w within %s", failure, attributeWait)
	}
	return v, failure
}

// presentVotes are the votes that stand at this moment.
func (a *agent) presentVotes(ctx context.Context, nodes []string) ([]election.Vote, error) {
	ctx, cancel := context.WithTimeout(ctx, attributeWait)
	defer cancel()
	var mu sync.Mutex
	found := map[string]election.Vote{}
	err := forEach(nodes, func(node string) error {
		v, ok, err := a.vote(ctx, node)
		mu.Lock()
		defer mu.Unlock()
		if ok {
			found[node] = v
		}
		if errors.Is(err, errNoVote) {
			return nil
		}
		return err
	})
	var votes []election.Vote
	for _, node := range nodes {
		if v, ok := found[node]; ok {
			votes = append(votes, v)
		}
	}
	return votes, err
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
