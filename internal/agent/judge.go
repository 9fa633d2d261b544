package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"pgsqlms/internal/command"
	"pgsqlms/internal/ocf"
	"pgsqlms/internal/pg"
)

// sight is what can be seen of an instance that did not answer by SQL.
type sight struct {
	asked       error // what became of the connection or the query
	elsewhere   bool  // a broken pgport has left the default in its place
	probe       bool  // the cluster asks whether anything runs here at all
	recurring   bool  // what runs here has been found up before
	promoted    bool  // and has been promoted
	processes   pg.Processes
	control     pg.ControlData
	controlErr  error
	obstacle    error // a refusal: what is wrong with the data directory or the programs
	backupLabel bool
	standby     bool // standby.signal is there, as in a standby and in nothing else
	standbyErr  error
	misses      int // monitors in a row without an answer, this one included
	enough      int // of them, for one that has failed

	dataDir, where string
	waited         time.Duration
}

// hangs is how long monitors may go without an answer from a PostgreSQL that is up, before it
// counts as hung. A loaded machine is slow for a while; a restart would not make it faster.
// They have no answer for three times the timeout that is recommended.
var hangs = lasting{looks: 3, span: 30 * time.Second}

// missed says whether PostgreSQL is up and let the question run into its bound, or
// refuses it although it was up before: it recovers by itself from the crash of one of its processes
// (restart_after_crash). Ended and started by Pacemaker, it would begin with that anew.
func (s sight) missed() bool {
	if s.processes.Postmaster == 0 || s.processes.Stopped {
		return false
	}
	return pg.IsTimeout(s.asked) || s.recurring && pg.IsStartingUp(s.asked)
}

// verdict is a monitor's result.
type verdict struct {
	code    ocf.ExitCode
	warning string
	err     error
}

func refusal(e *ocf.Error) verdict { return verdict{code: e.Code, err: e} }

// judge is the decision table for an instance that cannot be asked.
func judge(s sight) verdict {
	switch {
	case s.processes.Postmaster != 0:
		return judgeAlive(s)
	case s.processes.Running():
		return judgeOrphans(s)
	default:
		return judgeGone(s)
	}
}

func judgeAlive(s sight) verdict {
	pid := s.processes.Postmaster
	switch {
	case s.processes.Stopped:
		return refusal(reasonHung.With(pid, "it is stopped by a signal"))
	case pg.IsRefused(s.asked) && !s.elsewhere:
		return refusal(reasonUnreachable.Because(s.asked, pid, s.where))
	case pg.IsStartingUp(s.asked) && s.missed() && s.misses < s.enough:
		return s.recovers()
	case pg.IsStartingUp(s.asked):
		return refusal(reasonStarting.Because(s.asked, pid, s.waited))
	case s.missed() && s.misses >= s.enough:
		return refusal(reasonHung.With(pid, fmt.Sprintf("%d monitors in a row had no answer", s.misses)))
	default:
		return roleByControl(s)
	}
}

// recovers leaves an instance the role it had, as long as it may recover by itself.
func (s sight) recovers() verdict {
	return verdict{code: s.roleBefore(), warning: fmt.Sprintf(
		"PostgreSQL (postmaster %d) refuses connections, %d of %d monitors in a row before it is taken for failed: %v",
		s.processes.Postmaster, s.misses, s.enough, s.asked)}
}

// roleBefore is what a recurring monitor has found, as Pacemaker repeats it.
func (s sight) roleBefore() ocf.ExitCode {
	if s.promoted {
		return ocf.RunningPromoted
	}
	return ocf.Success
}

// roleByControl takes the role from pg_control, while PostgreSQL is up and has its
// reasons not to answer the monitor: no free connection, a load it cannot cope with, a
// pg_hba.conf that keeps the agent out. None of them is mended by a restart.
func roleByControl(s sight) verdict {
	switch {
	case errors.Is(s.obstacle, pg.ErrDataDirMissing):
		return refusal(reasonState.Because(s.asked, s.processes.Postmaster, "nothing that can be read"))
	case s.controlErr != nil, nothingHere(s.obstacle):
		return roleBySignal(s)
	case s.control.State == pg.StateInProduction:
		return verdict{code: ocf.RunningPromoted, warning: s.silence("pg_control")}
	case s.control.State == pg.StateArchiveRecovery:
		return verdict{code: ocf.Success, warning: s.silence("pg_control")}
	default:
		return refusal(reasonState.Because(s.asked, s.processes.Postmaster, s.control.State))
	}
}

// roleBySignal is for where pg_control cannot be read: pg_controldata is not there, or
// does not end in time, or the file is damaged. What runs needs none of that, and would
// not come back from a restart without. Nor would one whose data were given to another
// user: what is there cannot be read any more, and the server goes on with what it has open.
func roleBySignal(s sight) verdict {
	switch {
	case errors.Is(s.standbyErr, fs.ErrPermission) && s.recurring:
		return verdict{code: s.roleBefore(), warning: s.silence("Pacemaker")}
	case s.standbyErr != nil:
		return refusal(reasonState.Because(s.standbyErr, s.processes.Postmaster, "nothing that can be read"))
	case s.standby:
		return verdict{code: ocf.Success, warning: s.silence("standby.signal")}
	}
	return verdict{code: ocf.RunningPromoted, warning: s.silence("standby.signal")}
}

// silence is the warning that goes with a role which PostgreSQL did not tell itself.
func (s sight) silence(source string) string {
	return fmt.Sprintf("PostgreSQL (postmaster %d) runs but did not answer the monitor, its role is taken from %s: %v",
		s.processes.Postmaster, source, s.asked)
}

func judgeOrphans(s sight) verdict {
	if s.controlErr == nil && s.control.State == pg.StateInProduction {
		return refusal(reasonOrphansPromoted.With(s.dataDir, left(s.processes)))
	}
	return refusal(reasonOrphans.With(s.dataDir, left(s.processes)))
}

// judgeUnreadable is for an instance that does not run and whose pg_control cannot be
// read. Without a data directory, nothing can run. A probe asks on every node, also
// where PostgreSQL or its data were never installed.
func judgeUnreadable(s sight) verdict {
	switch {
	case errors.Is(s.obstacle, pg.ErrDataDirMissing), s.probe && nothingHere(s.obstacle):
		return verdict{code: ocf.NotRunning}
	case pg.IsTimeout(s.controlErr), errors.Is(s.controlErr, command.ErrNotRun):
		return refusal(reasonAsk.Because(s.controlErr, s.dataDir))
	case s.obstacle != nil:
		return verdict{code: ocf.CodeOf(s.obstacle), err: s.obstacle}
	}
	return refusal(reasonControl.Because(s.controlErr, s.dataDir))
}

func judgeGone(s sight) verdict {
	if s.controlErr != nil || nothingHere(s.obstacle) {
		return judgeUnreadable(s)
	}
	state := s.control.State
	switch {
	case s.backupLabel, state == pg.StateShutDown, state == pg.StateShutDownRecovery:
		return verdict{code: ocf.NotRunning}
	case s.probe:
		return verdict{code: ocf.NotRunning, warning: fmt.Sprintf(
			"nothing runs on %s, which was not shut down (pg_control says %q): a start will replay its WAL as a standby", s.dataDir, state)}
	case state == pg.StateArchiveRecovery:
		return refusal(reasonCrashedStandby.With(s.dataDir, state))
	default:
		return refusal(reasonCrashedPrimary.With(s.dataDir, state))
	}
}
