package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"pgsqlms/internal/failpoint"
	"pgsqlms/internal/ocf"
	"pgsqlms/internal/pg"
)

// start brings the instance up, always as a standby: who is the primary is decided by
// a promotion and by nothing else. A crashed primary replays its own WAL first.
func (a *agent) start(ctx context.Context) (ocf.ExitCode, error) {
	failpoint.Hit("start-begin")
	if err := a.validateAll(ctx); err != nil {
		return refuse(err)
	}
	processes, err := a.db.Processes()
	if err != nil {
		return refuse(reasonAsk.Because(err, a.conf.dataDir))
	}
	if processes.Postmaster != 0 {
		return a.startRunning(ctx)
	}
	if err := a.endOrphans(ctx); err != nil {
		return refuse(err)
	}
	control, err := a.db.Control(ctx)
	if err != nil {
		return refuse(a.orLate(reasonControl.Because(err, a.conf.dataDir)))
	}
	wasPrimary := a.wasPrimary(control.State)
	if err := a.refuseLeft(ctx, control); err != nil {
		return refuse(err)
	}
	if err := a.startStandby(ctx); err != nil {
		return refuse(err)
	}
	failpoint.Hit("start-up")
	a.store.forget()
	if err := a.refuseDiverged(ctx); err != nil {
		return refuse(err)
	}
	a.firstScore(ctx, wasPrimary)
	return ocf.Success, nil
}

// startRunning is start on an instance that is up: success when it is a standby, and is
// to stay one.
func (a *agent) startRunning(ctx context.Context) (ocf.ExitCode, error) {
	status, err := a.lookBy(ctx, a.insistently)
	switch {
	case err != nil:
		return refuse(reasonAsk.Because(err, a.conf.dataDir))
	case !status.InRecovery:
		return refuse(reasonStartPrimary.With(a.conf.dataDir))
	}
	promoting := false
	err = a.insistently(ctx, func() (err error) { promoting, err = a.db.Promoting(ctx); return err })
	switch {
	case err != nil:
		return refuse(reasonAsk.Because(err, a.conf.dataDir))
	case promoting:
		return refuse(reasonStartPromoting.With(a.conf.dataDir))
	}
	status, err = a.lookBy(ctx, a.insistently)
	if err != nil || !status.InRecovery { // the order has been carried out meanwhile
		return refuse(reasonStartPrimary.With(a.conf.dataDir))
	}
	if !status.Streams() {
		if err := a.refuseDiverged(ctx); err != nil {
			return refuse(err)
		}
	}
	return ocf.Success, nil
}

// startStandby sets the instance up as a standby, starts it and waits until it
// answers. At its return the instance runs, in recovery.
//
// It never does so as somebody else than the system user, whom the data may have been
// taken from, or given to, by now: see actAs. A user that could not be looked up in time
// bans no node here either, where a demotion comes by.
func (a *agent) startStandby(ctx context.Context) error {
	if a.conf.noStart != nil {
		return a.orLate(a.conf.noStart)
	}
	if err := a.db.SetStandby(ctx); err != nil {
		if errors.Is(err, pg.ErrNotRegular) {
			return reasonSignalFile.Because(err)
		}
		if !errors.Is(err, fs.ErrPermission) {
			return reasonStart.Because(err, a.conf.dataDir)
		}
		return reasonStandbySignal.Because(err)
	}
	failpoint.Hit("start-signal")
	a.prepareOutput()
	again, err := a.launchStandby(ctx)
	if err != nil && again {
		a.log.Warnf("%v: it is started once more", err)
		if err := a.endOrphans(ctx); err != nil {
			return err
		}
		_, err = a.launchStandby(ctx)
	}
	if err != nil {
		return reasonStart.Because(err, a.conf.dataDir)
	}
	return nil
}

// launchStandby starts the server and waits until it is up. again says that another
// attempt makes sense: somebody killed the postmaster, often the kernel for want of
// memory. PostgreSQL itself would have come back from that in a moment; a start that
// fails makes Pacemaker keep the instance off the node until a person comes
// (start-failure-is-fatal).
func (a *agent) launchStandby(ctx context.Context) (again bool, err error) {
	a.clearStaleLock()
	server, err := a.db.Launch(ctx)
	if err != nil {
		return false, err
	}
	failpoint.Hit("start-launched")
	err = a.awaitStandby(ctx, server)
	return server.Killed(), err
}

// clearStaleLock takes away a postmaster.pid that would keep PostgreSQL from starting:
// after a reboot its process number may be that of another instance's process.
func (a *agent) clearStaleLock() {
	cleared, err := a.db.ClearStaleLock()
	switch {
	case err != nil:
		a.log.Warnf("postmaster.pid is left as it is: %v", err)
	case cleared:
		a.log.Warnf("removed a postmaster.pid in %s whose postmaster is gone", a.conf.dataDir)
	}
}

// awaitStandby waits until the instance takes connections, by the status that the
// postmaster writes into postmaster.pid, and asks it for its role.
func (a *agent) awaitStandby(ctx context.Context, server *pg.Launched) error {
	err := poll(ctx, pollEvery, func() (bool, error) {
		if ended, how := server.Exited(); ended {
			return false, a.ended(how)
		}
		return a.db.PostmasterStatus() == pg.StatusReady, nil
	})
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("postmaster %d was still not ready after %s: raise the timeout if it has much WAL to replay",
			server.Pid(), a.req.Timeout)
	}
	if err != nil {
		return fmt.Errorf("postmaster %d: %w", server.Pid(), err)
	}
	status, err := a.lookBy(ctx, a.insistently)
	if err == nil && !status.InRecovery {
		err = fmt.Errorf("it came up as a primary, in spite of standby.signal")
	}
	return err
}

// ended says where to read why the postmaster gave up.
func (a *agent) ended(how error) error {
	if how == nil {
		how = errors.New("exited with code 0")
	}
	return fmt.Errorf("it %w, its messages are in %s", how, a.conf.logPath)
}

// wasPrimary says whether the instance, which is down, was a primary when it last ran. A
// base backup was none: it has the pg_control of the primary that it was taken from. Nor
// is one believed to be when its backup_label cannot be read.
func (a *agent) wasPrimary(state pg.State) bool {
	return !a.mayBeBackup() && state != pg.StateShutDownRecovery && state != pg.StateArchiveRecovery
}

// mayBeBackup says whether pg_control may be that of the server from which the data were
// copied: there is a backup_label, or nobody can tell.
func (a *agent) mayBeBackup() bool {
	backup, err := a.db.BackupLabel()
	return err != nil || backup
}

// firstScore finds out who is to be promoted, when nobody has a promotion score: at the
// first start of a cluster, after all of it was down, and when an election waited for
// this node. An instance is up here and so is consistent: PostgreSQL takes no connection
// before.
func (a *agent) firstScore(ctx context.Context, wasPrimary bool) {
	n := a.req.Notify
	if len(without(n.Promoted, a.req.Node())) > 0 && len(n.Demote) == 0 {
		return // there is a primary, and it stays one
	}
	if !wasPrimary && (!n.Present() || len(n.Promoted) > 0) {
		return // there is a primary
	}
	ctx, cancel := context.WithTimeout(ctx, 3*attributeWait)
	defer cancel()
	if wasPrimary { // the monitors ask again, should this fail
		m := a.store.load()
		m.WasPrimary = true
		a.remember(m)
	}
	if len(n.Promote) > 0 {
		return // by this very transition
	}
	waiting, err := a.nominate(ctx, wasPrimary, true, func() bool { return false })
	if err != nil {
		a.log.Warnf("cannot tell whether this node should be promoted first: %v", err)
	}
	if waiting != "" {
		a.log.Infof("%s", waiting)
	}
}
