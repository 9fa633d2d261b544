package agent

import (
	"context"
	"slices"
	"time"

	"pgsqlms/internal/failpoint"
	"pgsqlms/internal/ocf"
	"pgsqlms/internal/pg"
	"pgsqlms/internal/wal"
)

// demote makes the primary a standby: a clean shutdown, and a start as a standby. When
// the transition stops the instance next, it is left down: starting it would cost the
// cluster a second shutdown, and a crashed one a second crash recovery.
func (a *agent) demote(ctx context.Context) (ocf.ExitCode, error) {
	failpoint.Hit("demote-begin")
	a.store.forget()
	processes, err := a.db.Processes()
	if err != nil {
		return refuse(reasonAsk.Because(err, a.conf.dataDir))
	}
	if processes.Postmaster == 0 {
		return a.demoteStopped(ctx)
	}
	if a.isStandby(ctx) {
		return ocf.Success, nil
	}
	err = sideBySide(
		func() { a.forgetEnd(ctx) },
		func() error { return a.shutDown(ctx, demoteSteps) })
	if err != nil {
		return refuse(err)
	}
	failpoint.Hit("demote-down")
	return a.demoteDown(ctx)
}

// roleWait bounds the question for the role before a demotion. A primary that hangs
// does not answer, and is shut down all the same.
const roleWait = 3 * time.Second

// isStandby says whether there is nothing to demote. A standby that was told to promote,
// by an action that has failed since or was killed, answers as one, and would become a
// second primary by itself. Nothing takes the order back but a restart: so it is shut
// down as a primary is. PostgreSQL removes what is left of an order when it starts.
func (a *agent) isStandby(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, roleWait)
	defer cancel()
	if !a.inRecovery(ctx) {
		return false
	}
	promoting, err := a.db.Promoting(ctx)
	switch {
	case err != nil:
		a.log.Warnf("cannot tell whether the standby in %s is being promoted, it is shut down: %v", a.conf.dataDir, err)
		return false
	case promoting:
		a.log.Warnf("the instance in %s is being promoted, it is shut down before it is a primary", a.conf.dataDir)
		return false
	}
	return a.inRecovery(ctx) // no order: there was none, or it has been carried out meanwhile
}

func (a *agent) inRecovery(ctx context.Context) bool {
	status, err := a.look(ctx)
	return err == nil && status.InRecovery
}

// demoteDown goes on once the instance is down: the shutdown must have been clean, of
// a primary or of a standby that could not be asked.
func (a *agent) demoteDown(ctx context.Context) (ocf.ExitCode, error) {
	control, err := a.db.Control(ctx)
	if err != nil && a.stoppedNext() {
		a.log.Warnf("the shutdown cannot be proved to be clean, and is not to be followed by a start: %v", err)
		return ocf.Success, nil
	}
	if err != nil {
		return refuse(a.orLate(reasonControl.Because(err, a.conf.dataDir)))
	}
	if clean := control.State == pg.StateShutDown || control.State == pg.StateShutDownRecovery; !clean {
		unclean := reasonDemoteState.With(control.State, pg.StateShutDown)
		if a.stoppedNext() {
			a.log.Warnf("%v; the stop that follows goes on from there", unclean)
			return ocf.Success, nil
		}
		return refuse(unclean)
	}
	if a.stoppedNext() {
		if control.State == pg.StateShutDown { // else the last checkpoint is not the end of its WAL
			a.publishEnd(ctx, behindCheckpoint(control))
		}
		return ocf.Success, nil
	}
	end, known := a.db.ShutdownEnd(ctx, control)
	if !known {
		return a.followUp(ctx)
	}
	err = sideBySide(
		func() {
			a.publishEnd(ctx, end)
			failpoint.Hit("demote-published")
		},
		func() error { return a.startStandby(ctx) })
	if err != nil {
		return refuse(err)
	}
	failpoint.Hit("demote-started")
	return ocf.Success, nil
}

// demoteStopped is demote on an instance that does not run, because it crashed or was
// stopped by hand.
func (a *agent) demoteStopped(ctx context.Context) (ocf.ExitCode, error) {
	if err := a.endOrphans(ctx); err != nil {
		return refuse(err)
	}
	if a.stoppedNext() {
		a.publishStopped(ctx)
		return ocf.Success, nil
	}
	a.forgetEnd(ctx)
	return a.followUp(ctx)
}

// publishStopped tells where the WAL of an instance ends that was down already, by an action
// before this one perhaps, which did not get that far; of one that was not shut down nothing
// is known, and what was said of an earlier reign is not true any more.
func (a *agent) publishStopped(ctx context.Context) {
	var control pg.ControlData
	err := sideBySide(
		func() { a.forgetEnd(ctx) },
		func() (err error) { control, err = a.db.Control(ctx); return err })
	if err == nil && control.State == pg.StateShutDown && !a.mayBeBackup() {
		a.publishEnd(ctx, behindCheckpoint(control))
	}
}

// behindCheckpoint is where the record of the last checkpoint has been left behind, at which the
// WAL of a primary ends that was shut down.
func behindCheckpoint(control pg.ControlData) wal.Position {
	return wal.Position{Timeline: control.Timeline, LSN: control.Checkpoint + 1}
}

// stoppedNext says whether this transition stops this node's instance.
func (a *agent) stoppedNext() bool {
	return slices.Contains(a.req.Notify.Stop, a.req.Node())
}

// followUp starts an old primary as a standby whose WAL does not tell where it ends, and
// tells the candidate that when it has replayed all it had.
func (a *agent) followUp(ctx context.Context) (ocf.ExitCode, error) {
	if err := a.startStandby(ctx); err != nil {
		return refuse(err)
	}
	failpoint.Hit("demote-started")
	switch s, err := a.db.Standing(ctx); {
	case err != nil:
		a.log.Warnf("the standby is up, and cannot tell the other nodes where the WAL ended: %v", err)
	case !s.Whole(): // less than what there is would have a candidate take itself for complete
		a.log.Warnf("the standby is up, and still replays what it had, %s by now: the other nodes are not told where the WAL ended", shown(s.End))
	default:
		a.publishEnd(ctx, s.End)
		failpoint.Hit("demote-published")
	}
	return ocf.Success, nil
}

// forgetEnd takes back where this node's WAL ended in an earlier demotion, which the monitors
// of a primary do after a while: a candidate that stands there would believe to hold all
// that was written in the reign which ends now.
func (a *agent) forgetEnd(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, attributeWait)
	defer cancel()
	self, err := a.nodeName(ctx)
	if err == nil {
		err = a.crm.DeletePrivate(ctx, self, a.attribute(attrShutdown))
	}
	if err != nil {
		a.log.Warnf("cannot take back where the WAL ended in an earlier demotion: %v", err)
	}
}

// publishEnd must not fail the demotion: a candidate that hears nothing cancels.
func (a *agent) publishEnd(ctx context.Context, end wal.Position) {
	ctx, cancel := context.WithTimeout(ctx, attributeWait)
	defer cancel()
	self, err := a.nodeName(ctx)
	if err == nil {
		err = a.crm.SetPrivate(ctx, self, a.attribute(attrShutdown), end.String())
	}
	if err != nil {
		a.log.Warnf("cannot tell the other nodes where the WAL ended (%s): %v", shown(end), err)
	}
}
