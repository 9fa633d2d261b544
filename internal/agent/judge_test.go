package agent

import (
	"context"
	"errors"
	"io/fs"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/assert"

	"pgsqlms/internal/command"
	"pgsqlms/internal/ocf"
	"pgsqlms/internal/pg"
)

func serverError(code, message string) error {
	return &pgconn.PgError{Severity: "FATAL", Code: code, Message: message}
}

// The decision table of monitor for an instance that did not answer.
func TestJudge(t *testing.T) {
	full := serverError("53300", "sorry, too many clients already")
	starting := serverError("57P03", "the database system is starting up")
	slow := context.DeadlineExceeded
	alive := pg.Processes{Postmaster: 42}
	unreadable := pg.ErrControlUnreadable
	noData := reasonDataDir.Because(pg.ErrVersionMissing)
	noPrograms := reasonBinaries.Because(pg.ErrBinary, "/bin")
	cases := map[string]struct {
		sight sight
		code  ocf.ExitCode
		warns bool
	}{
		"primary, nothing answers in time":        {sight{asked: full, processes: alive, controlErr: slow}, ocf.RunningPromoted, true},
		"standby, nothing answers in time":        {sight{asked: full, processes: alive, controlErr: slow, standby: true}, ocf.Success, true},
		"stopped, pg_control not read in time":    {sight{controlErr: slow}, ocf.ErrGeneric, false},
		"stopped, pg_controldata was killed":      {sight{controlErr: command.ErrNotRun}, ocf.ErrGeneric, false},
		"no data directory":                       {sight{controlErr: unreadable, obstacle: pg.ErrDataDirMissing}, ocf.NotRunning, false},
		"empty data directory":                    {sight{controlErr: unreadable, obstacle: noData}, ocf.ErrArgs, false},
		"probe, empty":                            {sight{probe: true, controlErr: unreadable, obstacle: noData}, ocf.NotRunning, false},
		"no programs":                             {sight{controlErr: unreadable, obstacle: noPrograms}, ocf.ErrInstalled, false},
		"probe, no programs":                      {sight{probe: true, controlErr: unreadable, obstacle: noPrograms}, ocf.NotRunning, false},
		"wrong owner":                             {sight{controlErr: unreadable, obstacle: reasonDataDirPerm.With()}, ocf.ErrPerm, false},
		"data directory removed under the server": {sight{asked: slow, processes: alive, controlErr: unreadable, obstacle: pg.ErrDataDirMissing}, ocf.ErrGeneric, false},

		"primary, no free connection": {sight{asked: full, processes: alive, control: state(pg.StateInProduction)}, ocf.RunningPromoted, true},
		"standby, no free connection": {sight{asked: full, processes: alive, control: state(pg.StateArchiveRecovery)}, ocf.Success, true},
		"pg_hba.conf keeps us out":    {sight{asked: serverError("28000", "no entry"), processes: alive, control: state(pg.StateInProduction)}, ocf.RunningPromoted, true},
		"primary, slow":               {sight{asked: slow, misses: 1, enough: 3, processes: alive, control: state(pg.StateInProduction)}, ocf.RunningPromoted, true},
		"primary, slow again":         {sight{asked: slow, misses: 2, enough: 3, processes: alive, control: state(pg.StateInProduction)}, ocf.RunningPromoted, true},
		"primary, slow for too long":  {sight{asked: slow, misses: 3, enough: 3, processes: alive, control: state(pg.StateInProduction)}, ocf.ErrGeneric, false},
		"postmaster stopped":          {sight{asked: slow, misses: 1, enough: 3, processes: pg.Processes{Postmaster: 42, Stopped: true}, control: state(pg.StateInProduction)}, ocf.ErrGeneric, false},
		"still starting":              {sight{asked: starting, processes: alive, control: state(pg.StateArchiveRecovery)}, ocf.ErrGeneric, false},
		"a primary that recovers":     {sight{asked: starting, recurring: true, promoted: true, misses: 1, enough: 3, processes: alive, control: state(pg.StateCrashRecovery)}, ocf.RunningPromoted, true},
		"a standby that recovers":     {sight{asked: starting, recurring: true, misses: 2, enough: 3, processes: alive, control: state(pg.StateArchiveRecovery)}, ocf.Success, true},
		"recovers for too long":       {sight{asked: starting, recurring: true, promoted: true, misses: 3, enough: 3, processes: alive, control: state(pg.StateCrashRecovery)}, ocf.ErrGeneric, false},
		"alive, pg_control damaged":   {sight{asked: full, processes: alive, controlErr: pg.ErrControlCRC}, ocf.RunningPromoted, true},
		"alive, no programs":          {sight{asked: full, processes: alive, obstacle: noPrograms, standby: true}, ocf.Success, true},
		"alive, nothing can be read":  {sight{asked: full, processes: alive, controlErr: unreadable, standbyErr: fs.ErrPermission}, ocf.ErrGeneric, false},
		"a primary's data taken":      {sight{asked: full, processes: alive, controlErr: unreadable, standbyErr: fs.ErrPermission, recurring: true, promoted: true}, ocf.RunningPromoted, true},
		"a standby's data taken":      {sight{asked: full, processes: alive, controlErr: unreadable, standbyErr: fs.ErrPermission, recurring: true}, ocf.Success, true},
		"alive, damaged directory":    {sight{asked: full, processes: alive, controlErr: unreadable, standbyErr: syscall.EIO, recurring: true, promoted: true}, ocf.ErrGeneric, false},
		"nobody listens":              {sight{asked: syscall.ECONNREFUSED, processes: alive, control: state(pg.StateInProduction)}, ocf.ErrGeneric, false},
		"nobody listens, port broken": {sight{asked: syscall.ECONNREFUSED, elsewhere: true, processes: alive, control: state(pg.StateInProduction)}, ocf.RunningPromoted, true},

		"orphans of a primary": {sight{processes: pg.Processes{Orphans: []int{7}}, control: state(pg.StateInProduction)}, ocf.FailedPromoted, false},
		"orphans of a standby": {sight{processes: pg.Processes{Orphans: []int{7}}, control: state(pg.StateArchiveRecovery)}, ocf.ErrGeneric, false},
		"shared memory left":   {sight{processes: pg.Processes{SharedMemory: true}, control: state(pg.StateShutDown)}, ocf.ErrGeneric, false},

		"primary shut down":                 {sight{control: state(pg.StateShutDown)}, ocf.NotRunning, false},
		"standby shut down":                 {sight{control: state(pg.StateShutDownRecovery)}, ocf.NotRunning, false},
		"base backup":                       {sight{control: state(pg.StateInProduction), backupLabel: true}, ocf.NotRunning, false},
		"crashed primary":                   {sight{control: state(pg.StateInProduction)}, ocf.FailedPromoted, false},
		"crashed while shutting down":       {sight{control: state(pg.StateShuttingDown)}, ocf.FailedPromoted, false},
		"crashed in crash recovery":         {sight{control: state(pg.StateCrashRecovery)}, ocf.FailedPromoted, false},
		"crashed standby":                   {sight{control: state(pg.StateArchiveRecovery)}, ocf.ErrGeneric, false},
		"probe after a power loss, primary": {sight{probe: true, control: state(pg.StateInProduction)}, ocf.NotRunning, true},
		"probe after a power loss, standby": {sight{probe: true, control: state(pg.StateArchiveRecovery)}, ocf.NotRunning, true},
		"probe, orphans":                    {sight{probe: true, processes: pg.Processes{Orphans: []int{7}}, control: state(pg.StateInProduction)}, ocf.FailedPromoted, false},
		"pg_control damaged":                {sight{controlErr: pg.ErrControlCRC}, ocf.ErrArgs, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got := judge(c.sight)
			assert.Equal(t, c.code, got.code, "err: %v", got.err)
			assert.Equal(t, c.warns, got.warning != "", got.warning)
			healthy := c.code == ocf.Success || c.code == ocf.RunningPromoted || c.code == ocf.NotRunning
			assert.Equal(t, healthy, got.err == nil, "a reason with every failure, none without: %v", got.err)
		})
	}
}

func state(s pg.State) pg.ControlData { return pg.ControlData{State: s} }

func TestJudgeNamesWhatIsLeft(t *testing.T) {
	v := judge(sight{dataDir: "/data", processes: pg.Processes{Orphans: []int{7, 8}, SharedMemory: true}})
	assert.ErrorContains(t, v.err, "backends 7 8, its shared memory")
	assert.ErrorContains(t, v.err, "/data")
}

func TestAtLeast(t *testing.T) {
	lowest := []int{3, 0, 10}
	for _, ok := range []string{"3.0.10", "3.0.14", "3.1.0", "3.16.1", "4.0.0"} {
		assert.True(t, atLeast(ok, lowest), ok)
	}
	for _, bad := range []string{"", "3", "3.0", "3.0.9", "2.9.99", "x.y.z", "3.0.", "-3.1.1"} {
		assert.False(t, atLeast(bad, lowest), bad)
	}
}

func TestRefuseTakesTheCodeOfTheCause(t *testing.T) {
	code, err := refuse(reasonControl.Because(errors.New("cause"), "/data"))
	assert.Equal(t, ocf.ErrArgs, code)
	assert.EqualError(t, err, "global/pg_control of /data cannot be believed: cause")
}
