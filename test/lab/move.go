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
		c, err := l.clusterStatus(ctx, node)
		if err != nil {
			return err
		}
		if c.roles[node] != "Promoted" || c.DCState != "S_IDLE" {
			return fmt.Errorf("moving the promoted role to %s: its role is %q, the DC in %s", node, c.roles[node], c.DCState)
		}
		return nil
	})
	if cerr := l.ClearMove(ctx, node); err == nil {
		err = cerr
	}
	return err
}

// StartMove only makes the location rule, and returns at once.
func (l *Lab) StartMove(ctx context.Context, node string) error {
	if _, err := l.node(node); err != nil {
		return err
	}
	args := []string{"crm_resource", "--move", "--resource", CloneResource, "--node", node}
	if l.plan.Facts.oldRoles() {
		args = append(args, "--master")
	} else {
		args = append(args, "--promoted")
	}
	_, err := l.Run(ctx, node, args...)
	return err
}

// ClearMove takes back the location rules that StartMove made; it runs on a node.
func (l *Lab) ClearMove(ctx context.Context, on string) error {
	_, err := l.Run(ctx, on, "crm_resource", "--clear", "--resource", CloneResource)
	return err
}
