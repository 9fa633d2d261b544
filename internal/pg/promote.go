package pg

import (
	"context"
	"fmt"

	"pgsqlms/internal/command"
)

// Promote tells a standby to become primary, and does not wait for it. pg_ctl
// is used, and not pg_promote(), because it needs no free connection slot. It
// is given the data directory and so reads no configuration.
func (i *Instance) Promote(ctx context.Context) error {
	out, err := command.Run(ctx, command.Cmd{
		Path: i.tool("pg_ctl"),
		Args: []string{"-D", i.cfg.DataDir, "-W", "promote"},
		User: &i.cfg.User,
	})
	if err != nil {
		return fmt.Errorf("cannot promote: %w", err)
	}
	if out.Code != 0 {
		return fmt.Errorf("cannot promote: %s", command.FirstLine(out.Stderr))
	}
	return nil
}
