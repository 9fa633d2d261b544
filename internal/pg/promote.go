package pg

import (
	"context"
	"fmt"

	"pgsqlms/internal/command"
)

// Promote tells a standby to become primary, and does not wait for it. pg_ctl
// is used, and not pg_promote(), because it needs no free connection slot. It
// is given the data directory and so reads no configuration.
//
// It goes through while replay is paused or delayed: what was received is then
// replayed at once. Before PostgreSQL 13 a pause had to be ended for that.
// PostgreSQL 14 and later pause replay by themselves where a setting such as
// max_connections is lower than the primary's was; such a standby cannot be
// promoted before it was restarted with a higher one, and its log says so.
func (i *Instance) Promote(ctx context.Context) error {
	if major, err := i.Version(); err == nil && major < promotionEndsPause {
		i.resumeReplay(ctx)
	}
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

// promotionEndsPause is the first version in which it does ("Prefer standby
// promotion over recovery pause").
const promotionEndsPause = 13

// resumeReplay is tried, and no more: a standby that is not paused needs none,
// and one that cannot be asked is promoted by the file that pg_ctl leaves, once
// somebody resumes it.
func (i *Instance) resumeReplay(ctx context.Context) {
	c, err := i.Connect(ctx)
	if err != nil {
		return
	}
	defer c.Close()
	_, _ = c.query(ctx, "SELECT pg_catalog.pg_wal_replay_resume()")
}
