package agent

import (
	"context"
	"fmt"
	"slices"

	"pgsqlms/internal/ocf"
)

// notify prepares the actions of a transition, and cleans up after them. Pacemaker
// ignores its result, so it always succeeds, and what promote must know travels in
// private attributes.
func (a *agent) notify(ctx context.Context) (ocf.ExitCode, error) {
	phases := map[string]func(context.Context) error{
		"pre-demote":   a.beforeDemote,
		"pre-promote":  a.beforePromote,
		"post-promote": a.afterPromote,
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
	conn, err := a.db.Connect(ctx)
	if err != nil {
		a.log.Infof("no checkpoint before the demotion: %v", err)
		return nil
	}
	defer conn.Close()
	inRecovery, err := conn.InRecovery(ctx)
	if err != nil || inRecovery {
		return err
	}
	return conn.Checkpoint(ctx)
}

// beforePromote is the vote: where this node's WAL ends.
func (a *agent) beforePromote(ctx context.Context) error {
	if err := a.req.Notify.Problem(); err != nil {
		return err
	}
	self := a.req.Node()
	if !slices.Contains(a.transition().Voters, self) {
		return nil
	}
	p, err := a.db.Position(ctx)
	if err != nil {
		return fmt.Errorf("this node cannot vote: %w", err)
	}
	name := a.attribute(attrVote)
	a.log.Infof("this node votes: WAL up to %s", p)
	if err := a.crm.SetPrivate(ctx, self, name, p.String()); err != nil {
		return err
	}
	return a.awaitAttribute(ctx, self, name, p.String())
}

// awaitAttribute waits until a value can be read back: attrd answers an update before
// it is applied, and until then a vote from an earlier transition stands there.
func (a *agent) awaitAttribute(ctx context.Context, node, name, want string) error {
	ctx, cancel := context.WithTimeout(ctx, attributeWait)
	defer cancel()
	return poll(ctx, pollEvery, func() (bool, error) {
		value, ok, err := a.crm.Private(ctx, node, name)
		return ok && value == want, err
	})
}

// afterPromote takes back what this node published for the promotion.
func (a *agent) afterPromote(ctx context.Context) error {
	self := a.req.Node()
	return forEach([]string{attrVote, attrShutdown}, func(name string) error {
		return a.crm.DeletePrivate(ctx, self, a.attribute(name))
	})
}
