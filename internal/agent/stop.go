package agent

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"pgsqlms/internal/failpoint"
	"pgsqlms/internal/ocf"
	"pgsqlms/internal/pg"
)

// stop ends the instance and proves it. It looks at no parameter but those that say
// where the instance is: a failed stop gets the node fenced.
func (a *agent) stop(ctx context.Context) (ocf.ExitCode, error) {
	failpoint.Hit("stop-begin")
	a.store.forget()
	if err := a.shutDown(ctx, stopSteps); err != nil {
		return refuse(err)
	}
	if err := a.ownersDown(ctx); err != nil {
		return refuse(err)
	}
	if err := a.othersDown(); err != nil {
		return refuse(err)
	}
	failpoint.Hit("stop-down")
	a.withdraw(ctx)
	return ocf.Success, nil
}

// withdraw takes this node's vote back, and says whether it could: an instance that is
// down cannot be promoted, and must not be nominated. Nor are its monitors' misses those
// of the next. A failure is no reason to fail a stop.
func (a *agent) withdraw(ctx context.Context) bool {
	self := a.req.Node()
	if self == "" {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, withdrawWait)
	defer cancel()
	err := forEach([]string{attrVote, attrBallot, attrMisses}, func(name string) error {
		return a.crm.DeletePrivate(ctx, self, a.attribute(name))
	})
	if err != nil {
		a.log.Infof("the vote of this node could not be taken back: %v", err)
	}
	return err == nil
}

// withdrawWait is for three processes that take milliseconds.
const withdrawWait = time.Second

// step is one way to end PostgreSQL, and the part of the remaining time it is given.
type step struct {
	mode pg.ShutdownMode
	part float64
}

// A stop that fails gets the node's power switched off, which is an immediate
// shutdown of everything on it. So an immediate shutdown of PostgreSQL alone comes
// before that, after a fast one had most of the time, and SIGKILL at the very end.
var stopSteps = []step{{pg.Fast, 0.7}, {pg.Immediate, 0.5}, {pg.Kill, 1}}

// A demotion that is not clean is none: the old primary could not come back.
var demoteSteps = []step{{pg.Fast, 1}}

// shutDown takes the steps in turn until nothing of the instance is left.
func (a *agent) shutDown(ctx context.Context, steps []step) error {
	for _, s := range steps {
		down, err := a.shutDownOnce(ctx, s)
		if err != nil || down {
			return err
		}
		a.log.Warnf("the instance in %s is not down after a shutdown of mode %s", a.conf.dataDir, s.mode)
	}
	return a.notDown()
}

func (a *agent) shutDownOnce(ctx context.Context, s step) (bool, error) {
	ctx, cancel := part(ctx, s.part)
	defer cancel()
	processes, err := a.db.Processes()
	if err != nil {
		return false, a.unlisted(err)
	}
	if processes.Postmaster == 0 {
		return true, a.endOrphans(ctx)
	}
	if err := a.db.Shutdown(ctx, s.mode); err != nil {
		return false, reasonStop.Because(err, a.conf.dataDir, left(processes))
	}
	return a.awaitDown(ctx, s.mode), nil
}

// resendEvery is how often PostgreSQL is told again to shut down: a postmaster in its
// first moments may not heed the signal yet. One that is shutting down takes no notice
// of a second that asks for no more (process_pm_shutdown_request in postmaster.c, pmdie
// until 15), and each costs a look at /proc.
const resendEvery = time.Second

// awaitDown waits as awaitNothing does, and tells PostgreSQL again meanwhile. What
// cannot be told once more is told a second later: the first time, it could.
func (a *agent) awaitDown(ctx context.Context, mode pg.ShutdownMode) bool {
	for {
		down := a.awaitNothingFor(ctx, resendEvery)
		if down || ctx.Err() != nil {
			return down
		}
		if err := a.db.Shutdown(ctx, mode); err != nil {
			a.log.Debugf("the shutdown could not be asked for again: %v", err)
		}
	}
}

// awaitNothing waits until nothing of the instance runs, and says whether that came.
func (a *agent) awaitNothing(ctx context.Context) bool {
	nothing := false
	_ = poll(ctx, pollEvery, func() (bool, error) {
		processes, err := a.db.Processes()
		nothing = err == nil && !processes.Running()
		return nothing, nil
	})
	return nothing
}

func (a *agent) notDown() error {
	processes, err := a.db.Processes()
	switch {
	case err != nil:
		return a.unlisted(err)
	case !processes.Running():
		return nil
	}
	return reasonStop.With(a.conf.dataDir, left(processes))
}

// ownersDown is for data that were given to another user under a server. That is down;
// beside it the new owner may have started one of its own, as PostgreSQL takes no notice
// of another user's (CreateLockFile in miscinit.c).
func (a *agent) ownersDown(ctx context.Context) error {
	if a.conf.runsAs == nil {
		return nil
	}
	a.conf.runsAs = nil
	a.openInstance()
	return a.shutDown(ctx, stopSteps)
}

// othersDown is for a data directory to which somebody else may have led us. What runs
// there is its owner's, and is not signalled. Nor is it said to be down: it may be ours,
// with a system_user that is wrong, and who can lead us there can hide ours elsewhere.
func (a *agent) othersDown() error {
	d := a.conf.data
	if d.planted == "" {
		return nil
	}
	pids, err := a.db.RunningAs(d.owner.UID)
	switch {
	case err != nil:
		return a.unlisted(err)
	case len(pids) == 0:
		return nil
	}
	return reasonStop.With(a.conf.dataDir, fmt.Sprintf("processes %s of uid %d, which system_user is not, and on the way there %s",
		strings.Trim(fmt.Sprint(pids), "[]"), d.owner.UID, d.planted))
}

func (a *agent) unlisted(err error) error {
	var moved *pg.MovedAwayError
	if errors.As(err, &moved) {
		return reasonStop.With(a.conf.dataDir, moved)
	}
	return reasonStop.Because(err, a.conf.dataDir, "its processes cannot be listed")
}

// orphanPatience is what backends get to notice that their postmaster is gone: they
// do at their next wait, which for one that computes may be long.
const orphanPatience = 2 * time.Second

// endOrphans makes sure that no backend and no shared memory of a postmaster that is
// gone is left. Only processes of this data directory are ever signalled.
func (a *agent) endOrphans(ctx context.Context) error {
	processes, err := a.db.Processes()
	if err != nil {
		return a.unlisted(err)
	}
	if !processes.Running() {
		return nil
	}
	a.log.Warnf("the postmaster of %s is gone, waiting for %s", a.conf.dataDir, left(processes))
	if a.awaitNothingFor(ctx, orphanPatience) {
		return nil
	}
	if err := a.db.KillOrphans(ctx); err != nil {
		return reasonStop.Because(err, a.conf.dataDir, left(processes))
	}
	if a.awaitNothingFor(ctx, orphanPatience) {
		return nil
	}
	return a.notDown()
}

func (a *agent) awaitNothingFor(ctx context.Context, d time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	return a.awaitNothing(ctx)
}

// left names what is there of an instance, for a message.
func left(p pg.Processes) string {
	var parts []string
	if p.Postmaster != 0 {
		parts = append(parts, fmt.Sprintf("postmaster %d", p.Postmaster))
	}
	if len(p.Orphans) > 0 {
		parts = append(parts, "backends "+strings.Trim(fmt.Sprint(p.Orphans), "[]"))
	}
	if p.SharedMemory {
		parts = append(parts, "its shared memory")
	}
	return strings.Join(parts, ", ")
}
