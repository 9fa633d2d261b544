package lab

import (
	"context"
	"fmt"
)

// Rebuild makes a node a fresh standby of the present primary, as an
// administrator does with a node that cannot follow any more: its cluster is
// stopped, its data are replaced by a copy of the primary's, its remembered
// failures are forgotten, and its cluster is started again. A node without
// power is powered.
func (l *Lab) Rebuild(ctx context.Context, node string) error {
	primary, err := l.Primary(ctx)
	if err != nil {
		return fmt.Errorf("rebuilding %s: %w", node, err)
	}
	if primary == node {
		return fmt.Errorf("rebuilding %s: it is the primary", node)
	}
	if err := l.system().rebuild(ctx, l, primary, node); err != nil {
		return fmt.Errorf("rebuilding %s: %w", node, err)
	}
	return nil
}

func (l *Lab) baseBackup(ctx context.Context, primary, node string) error {
	f := l.plan.Facts
	if _, err := l.runAs(ctx, node, "postgres", "rm", "-rf", f.pgdata()); err != nil {
		return err
	}
	// From the primary's own address: the VIP may be on its way.
	p, err := l.node(primary)
	if err != nil {
		return err
	}
	if _, err = l.runAs(ctx, node, "postgres", f.bindir()+"/pg_basebackup", "--pgdata", f.pgdata(), "--checkpoint", "fast",
		"--no-sync", "--wal-method", "stream", "--host", p.Addr, "--port", pgPort, "--username", replUser); err != nil {
		return err
	}
	return l.WriteFile(node, f.pgdata()+"/standby.signal", nil, 0o600, "postgres")
}
