package pg

import (
	"context"
	"fmt"

	"pgsqlms/internal/command"
)

// Promote tells a standby to become primary, and does not wait for it. pg_ctl
// is used, and not pg_promote(), because it needs no free connection slot. It
// is given the data directory and so reads no configuration. That it is a primary
// by now, through a promotion begun before, is no error.
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
	if out.Code != 0 && !i.isPrimary(ctx) {
		return fmt.Errorf("cannot promote: %s", command.FirstLine(out.Stderr))
	}
	return nil
}

// isPrimary says whether the instance is known to be one.
func (i *Instance) isPrimary(ctx context.Context) bool {
	c, err := i.Connect(ctx)
	if err != nil {
		return false
	}
	defer c.Close()
	inRecovery, err := c.InRecovery(ctx)
	return err == nil && !inRecovery
}

// Promoting says whether a standby was told to promote and is not a primary yet: it
// still answers as a standby, and soon will not. Asked of a primary it says no.
//
// Until the startup process has heard of it, the file that pg_ctl leaves tells:
// with that there, any signal to the postmaster may begin the promotion. It is
// looked for first, as PostgreSQL removes it before it says of itself that it
// promotes (CheckForStandbyTrigger in xlogrecovery.c, in xlog.c until 14).
//
// Since 13 the server itself tells, by what it does not allow meanwhile; the
// question changes nothing, for it is not asked of a standby whose replay is
// paused, which the order would have ended. Before, and at the end of it, the
// missing standby.signal tells.
func (i *Instance) Promoting(ctx context.Context) (bool, error) {
	ordered, err := i.fileExists(promoteFile)
	if err != nil {
		return false, err
	}
	c, err := i.Connect(ctx)
	if err != nil {
		return false, err
	}
	defer c.Close()
	if ordered {
		return c.InRecovery(ctx)
	}
	_, err = c.query(ctx, `SELECT CASE WHEN pg_catalog.pg_is_in_recovery() AND NOT pg_catalog.pg_is_wal_replay_paused()
		THEN pg_catalog.pg_wal_replay_resume() END`)
	if sqlState(err) == codeNotInState { // it is so; or the promotion came to its end in between
		return c.InRecovery(ctx)
	}
	if err != nil {
		return false, err
	}
	standby, err := i.StandbySignal()
	if err != nil || standby {
		return false, err
	}
	return c.InRecovery(ctx)
}

// promoteFile is the order, in the data directory (PROMOTE_SIGNAL_FILE in xlog.h).
const promoteFile = "promote"

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
