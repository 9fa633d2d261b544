package lab

import (
	"context"
	"fmt"
	"time"
)

// Move moves the promoted role to a node, as an administrator does: by a
// location rule, which is taken back once the node is the promoted one and the
// cluster has nothing more to do. Taken back sooner, it would undo the move.
func (l *Lab) Move(ctx context.Context, node string) error {
	if primary, err := l.Primary(ctx); err == nil && primary == node {
		return nil
	}
	if err := l.StartMove(ctx, node); err != nil {
		return err
	}
	err := await(ctx, time.Minute, 100*time.Millisecond, func() error {
		s, err := l.Status(ctx)
		if err != nil {
			return err
		}
		if s.Nodes[node].SQL != "primary" || l.Fences() && (s.Nodes[node].Role != "Promoted" || s.DCState != "S_IDLE") {
			return fmt.Errorf("moving the promoted role to %s: its role is %q, the DC in %s", node, s.Nodes[node].Role, s.DCState)
		}
		return nil
	})
	if cerr := l.ClearMove(ctx, node); err == nil {
		err = cerr
	}
	return err
}

// StartMove only makes the location rule, and returns at once. With Patroni it
// returns when the node is the primary.
func (l *Lab) StartMove(ctx context.Context, node string) error {
	if _, err := l.node(node); err != nil {
		return err
	}
	return l.system().startMove(ctx, l, node)
}

// ClearMove takes back the location rules that StartMove made; it runs on a node.
func (l *Lab) ClearMove(ctx context.Context, on string) error {
	return l.system().clearMove(ctx, l, on)
}
