package agent

import (
	"context"
	"errors"
	"time"

	"pgsqlms/internal/ocf"
	"pgsqlms/internal/pg"
)

// connectEvery is the pause between two connections while PostgreSQL starts: each
// costs it a process.
const connectEvery = 50 * time.Millisecond

// monitor tells the truth about the instance. While PostgreSQL answers, that costs
// one connection and no other process, unless a promotion score has changed.
func (a *agent) monitor(ctx context.Context) (ocf.ExitCode, error) {
	if !a.req.Recurring() {
		a.tellAgain()
	}
	for _, problem := range a.conf.problems {
		a.log.Warnf("%s", problem.Error())
	}
	status, err := a.look(ctx)
	if err != nil {
		return a.unanswered(err)
	}
	a.answered()
	if status.InRecovery {
		return a.standbyResult(ctx, status)
	}
	began := time.Now()
	a.refreshScores(ctx, status)
	if a.req.RolePromoted() && time.Since(began) < scoreWait { // else nobody answers
		a.trouble(ctx, "")
		a.tellVersion(ctx, a.store.load().Version)
	}
	return ocf.RunningPromoted, nil
}

// lookPart is the part of an action's time that PostgreSQL gets to answer. The rest is
// for finding out why it did not.
const lookPart = 0.8

// listenWait is what a postmaster that runs gets to listen. It does so in the first
// moments of its life, and a monitor may come into them when somebody restarts it.
const listenWait = 2 * time.Second

// look asks PostgreSQL for its state, and asks again while it starts up or shuts
// down, as long as the action has time, or does not listen yet.
func (a *agent) look(ctx context.Context) (pg.Status, error) { return a.lookBy(ctx, a.patiently) }

func (a *agent) lookBy(ctx context.Context, how func(context.Context, func() error) error) (status pg.Status, err error) {
	ctx, cancel := part(ctx, lookPart)
	defer cancel()
	err = how(ctx, func() error {
		status, err = a.ask(ctx)
		return err
	})
	return status, err
}

// patiently asks again while PostgreSQL starts up or shuts down, until ctx ends, or does
// not listen yet. At the end it says what it was waiting for.
func (a *agent) patiently(ctx context.Context, ask func() error) error {
	return askWhile(ctx, a.startsUp(), ask)
}

// insistently is patiently for who needs an answer: it asks again as well while every
// connection slot is taken. Clients that connect as a superuser take those that are reserved
// for administration, too; in a moment one of them may have come to its end. A monitor does
// not: it has pg_control, and little time.
func (a *agent) insistently(ctx context.Context, ask func() error) error {
	starts := a.startsUp()
	return askWhile(ctx, func(err error) bool { return starts(err) || pg.IsTooManyConnections(err) }, ask)
}

func (a *agent) startsUp() (passes func(error) bool) {
	began := time.Now()
	return func(err error) bool {
		return pg.IsStartingUp(err) || pg.IsRefused(err) && time.Since(began) < listenWait && a.postmasterRuns()
	}
}

// askWhile asks again while what became of it passes by itself.
func askWhile(ctx context.Context, passes func(error) bool, ask func() error) error {
	var waiting error // said before the time was up
	err := poll(ctx, connectEvery, func() (bool, error) {
		err := ask()
		if err == nil || !passes(err) {
			return true, err
		}
		if !pg.IsRefused(err) {
			waiting = err
		}
		return false, nil
	})
	if waiting != nil && pg.IsTimeout(err) {
		err = waiting
	}
	return err
}

func (a *agent) postmasterRuns() bool {
	processes, err := a.db.Processes()
	return err == nil && processes.Postmaster != 0 && !processes.Stopped
}

func (a *agent) ask(ctx context.Context) (pg.Status, error) {
	conn, err := a.db.Connect(ctx)
	if err != nil {
		return pg.Status{}, err
	}
	defer conn.Close()
	return conn.Status(ctx)
}

// missEvery is how long after one monitor that PostgreSQL does not answer the next one has
// waited for it: Pacemaker begins an interval when the monitor before has ended.
func (a *agent) missEvery() time.Duration {
	if a.req.Interval <= 0 {
		return 0
	}
	return a.req.Interval + a.lookTime()
}

// lookTime is how long a monitor waits for PostgreSQL.
func (a *agent) lookTime() time.Duration {
	return time.Duration(lookPart * (1 - ocf.Margin) * float64(a.req.Timeout))
}

// unanswered judges an instance that could not be asked, by its processes and its
// pg_control.
func (a *agent) unanswered(asked error) (ocf.ExitCode, error) {
	s, err := a.examine(asked)
	if err != nil {
		return refuse(reasonAsk.Because(err, a.conf.dataDir))
	}
	if s.missed() {
		s.misses, s.enough = a.missed(), hangs.in(a.missEvery())
	}
	v := judge(s)
	if v.warning != "" {
		a.log.Warnf("%s", v.warning)
	}
	return v.code, v.err
}

// examine looks at everything that needs no answer from PostgreSQL.
func (a *agent) examine(asked error) (sight, error) {
	s := sight{
		asked: asked, elsewhere: a.conf.portBroken, probe: a.req.Probe() && a.req.Node() != "",
		recurring: a.req.Recurring(), promoted: a.req.RolePromoted(),
		dataDir: a.conf.dataDir, where: a.conf.where(), waited: a.req.Timeout,
	}
	var err error
	if s.processes, err = a.db.Processes(); err != nil {
		return s, err
	}
	s.obstacle = a.obstacle()
	if !nothingHere(s.obstacle) {
		s.control, s.controlErr = a.control(s.processes.Postmaster != 0)
	}
	s.standby, s.standbyErr = a.standbySignal()
	s.backupLabel, _ = a.db.BackupLabel() // without one, pg_control speaks
	return s, nil
}

// obstacle is what may keep pg_control from being read.
func (a *agent) obstacle() error {
	if err := a.checkDataDir(); err != nil {
		return err
	}
	if err := a.checkBinaries(); err != nil {
		return err
	}
	_, err := a.version()
	return err
}

// nothingHere says that there are no data to look at, or no programs to do it with.
func nothingHere(obstacle error) bool {
	for _, missing := range []error{pg.ErrDataDirMissing, pg.ErrVersionMissing, pg.ErrBinary} {
		if errors.Is(obstacle, missing) {
			return true
		}
	}
	return false
}

// control reads pg_control. While PostgreSQL is up there is another way to learn its
// role; otherwise it gets what is left of the action's time.
func (a *agent) control(up bool) (pg.ControlData, error) {
	wait := examineWait
	if !up {
		wait = max(wait, time.Until(a.req.Deadline))
	}
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	return a.db.Control(ctx)
}

// examineWait is what pg_controldata, which reads one file of 8 kB, gets at least. It
// is below the tenth of the recommended 10 s that Deadline leaves.
const examineWait = 800 * time.Millisecond

// remember saves m, and does not forget a record that was seen since m was loaded.
func (a *agent) remember(m memory) {
	if seen := a.store.load(); seen.Record != "" && (m.Record == "" || newer(seen.Record, m.Record)) {
		m.Record, m.Recorded = seen.Record, seen.Recorded
	}
	if err := a.store.save(m); err != nil {
		a.log.Debugf("cannot write %s: %v", a.store.path, err)
	}
}
