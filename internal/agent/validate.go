package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"pgsqlms/internal/command"
	"pgsqlms/internal/ocf"
	"pgsqlms/internal/pg"
)

// validate checks the configuration, for validate-all. It runs in the way of no other
// action but start.
func (a *agent) validate(ctx context.Context) (ocf.ExitCode, error) {
	err := a.validateAll(ctx)
	if err == nil {
		err = a.orLate(a.checkControl(ctx))
	}
	if err != nil {
		return refuse(err)
	}
	return ocf.Success, nil
}

// validateAll is what start checks as well.
func (a *agent) validateAll(ctx context.Context) error {
	for _, problem := range a.conf.problems {
		return a.orLate(problem)
	}
	for _, check := range []func(context.Context) error{
		a.checkMeta, a.checkFeatureSet, a.checkTools, a.checkRejoin, a.checkData, a.checkInstalled, a.checkTemplate,
		a.checkPidFile, a.checkStandby, a.checkSettings,
	} {
		if err := check(ctx); err != nil {
			return a.orLate(err)
		}
	}
	return nil
}

// orLate takes a refusal back that comes from the end of the action's time, or from a
// program that did not come to its end for another reason: what could not be found out is
// no reason to ban the node.
func (a *agent) orLate(err error) error {
	var refused *ocf.Error
	switch {
	case !errors.As(err, &refused):
		return err
	case pg.IsTimeout(err):
		return reasonLate.Because(refused.Err, a.req.Timeout)
	case errors.Is(err, command.ErrNotRun):
		return reasonUnchecked.Because(refused.Err)
	}
	return err
}

// checkControl wants a pg_control that can be believed, of an instance that does not
// run: one that does is judged by what it says. start looks at it by itself.
func (a *agent) checkControl(ctx context.Context) error {
	processes, err := a.db.Processes()
	if err != nil {
		return reasonAsk.Because(err, a.conf.dataDir)
	}
	if processes.Postmaster != 0 {
		return nil
	}
	if _, err = a.db.Control(ctx); err != nil {
		return reasonControl.Because(err, a.conf.dataDir)
	}
	return nil
}

// checkMeta wants the clone's meta attributes that the agent cannot do without. Those
// that are absent have the value wanted as their default, except notify.
func (a *agent) checkMeta(context.Context) error {
	if !a.promotable() {
		return reasonClone.With(a.req.Instance)
	}
	if v, _ := a.req.Meta("notify"); !ocf.IsTrue(v) {
		return reasonNotify.With(v)
	}
	for _, name := range []string{"promoted_max", "master_max"} {
		if v, ok := a.req.Meta(name); ok && v != "1" {
			return reasonPromotedMax.With(v)
		}
	}
	if v, ok := a.req.Meta("clone_node_max"); ok && v != "1" {
		return reasonCloneNodeMax.With(v)
	}
	// The instances of a unique clone have names and scores of their own.
	if v, _ := a.req.Meta("globally_unique"); ocf.IsTrue(v) {
		return reasonUnique.With(v)
	}
	return nil
}

// promotable says whether the resource is a promotable clone: Pacemaker gives the
// limits of the promoted role to the actions of no other. Run by hand, an action has
// no word of the node, nor reliably of the clone.
func (a *agent) promotable() bool {
	_, clone := a.req.Meta("clone")
	_, promoted := a.req.Meta("promoted_max")
	_, master := a.req.Meta("master_max")
	return a.req.Node() == "" || clone && (promoted || master)
}

// checkFeatureSet wants what notify variables can be trusted since: Pacemaker 1.1.13,
// feature set 3.0.10.
func (a *agent) checkFeatureSet(context.Context) error {
	found := a.req.FeatureSet()
	if !atLeast(found, []int{3, 0, 10}) {
		return reasonFeatureSet.With(found)
	}
	return nil
}

// atLeast compares a dotted version with a lowest one.
func atLeast(version string, lowest []int) bool {
	parts := strings.Split(version, ".")
	for i, want := range lowest {
		if i >= len(parts) {
			return false
		}
		got, err := strconv.Atoi(parts[i])
		if err != nil || got < want {
			return false
		}
		if got > want {
			return true
		}
	}
	return true
}

func (a *agent) checkTools(context.Context) error {
	if err := a.crm.Check(); err != nil {
		return reasonTools.Because(err)
	}
	return nil
}

func (a *agent) checkInstalled(ctx context.Context) error {
	if err := a.checkBinaries(); err != nil {
		return err
	}
	if _, err := a.version(); err != nil {
		return err
	}
	if err := a.db.CheckVersion(ctx); err != nil {
		return reasonVersion.Because(rest{err, pg.ErrVersionMismatch}, a.conf.binDir, a.conf.dataDir)
	}
	return nil
}

func (a *agent) checkBinaries() error {
	if err := a.db.CheckBinaries(); err != nil {
		return reasonBinaries.Because(rest{err, pg.ErrBinary}, a.conf.binDir)
	}
	return nil
}

// rest is a cause without the words that its reason has said already: crm_mon shows no
// more than the beginning of an exit reason.
type rest struct{ error, said error }

func (r rest) Error() string {
	return strings.TrimPrefix(r.error.Error(), r.said.Error()+": ")
}

func (r rest) Unwrap() error { return r.error }

// version is the data's major version, or the refusal that fits why there is none.
func (a *agent) version() (int, error) {
	major, err := a.db.Version()
	switch {
	case err == nil:
		return major, nil
	case errors.Is(err, fs.ErrPermission):
		return 0, reasonDataDirPerm.Because(err)
	case errors.Is(err, pg.ErrVersionUnsupported):
		return 0, reasonVersion.Because(err, a.conf.binDir, a.conf.dataDir)
	}
	return 0, reasonDataDir.Because(err)
}

// checkRejoin refuses data that `pgsqlms rejoin` is at work on, or left half-done: beside
// them, or in their place, is the directory in which it works. It comes before the check
// of the data directory, which may be gone for that reason.
func (a *agent) checkRejoin(context.Context) error {
	found, err := a.db.UnfinishedRejoin()
	switch {
	case err != nil:
		return reasonDataDir.Because(err)
	case found != "":
		return reasonRejoin.With(a.conf.dataDir, found)
	}
	return nil
}

func (a *agent) checkData(context.Context) error { return a.checkDataDir() }

func (a *agent) checkDataDir() error {
	err := a.db.CheckDataDir()
	switch {
	case err == nil:
		return nil
	case errors.Is(err, pg.ErrDataDirAccess):
		return reasonDataDirPerm.Because(rest{err, pg.ErrDataDirAccess})
	}
	return reasonDataDir.Because(err)
}

// checkTemplate refuses a recovery.conf, with which the server would not start, and the
// template of one, which somebody may believe to have an effect.
func (a *agent) checkTemplate(context.Context) error {
	major, err := a.version()
	if err != nil {
		return err
	}
	for _, file := range []string{a.conf.template, filepath.Join(a.conf.dataDir, "recovery.conf")} {
		if a.exists(file) {
			return reasonTemplate.With(file, major)
		}
	}
	return nil
}

// checkPidFile refuses a postmaster.pid that is no file. The server would read it, of a
// named pipe for ever.
func (a *agent) checkPidFile(context.Context) error {
	file := filepath.Join(a.conf.dataDir, "postmaster.pid")
	return command.AsUser(a.conf.user, func() error {
		info, err := os.Lstat(file)
		if err == nil && !info.Mode().IsRegular() {
			return reasonPidFile.With(file)
		}
		return nil
	})
}

// checkStandby wants to be able to make the instance a standby.
func (a *agent) checkStandby(context.Context) error {
	if _, err := a.db.StandbySignal(); errors.Is(err, pg.ErrNotRegular) {
		return reasonSignalFile.Because(err)
	}
	err := command.AsUser(a.conf.user, func() error { return mayWrite(a.conf.dataDir) })
	if err != nil {
		return reasonStandbySignal.Because(fmt.Errorf("%s may not write to %s: %w", a.conf.user.Name, a.conf.dataDir, err))
	}
	return nil
}

// Arguments of faccessat(2) that package syscall does not name: for the effective
// user, and not for the real one, who is root.
const (
	accessWrite     = 0x2
	accessSearch    = 0x1
	accessEffective = 0x200
	currentDir      = -0x64
)

func mayWrite(dir string) error {
	return syscall.Faccessat(currentDir, dir, accessWrite|accessSearch, accessEffective)
}

// exists says whether there is a file of that name, or anything else.
func (a *agent) exists(file string) bool { return a.lstat(file) == nil }

// lstat looks as the system user: the file is below its directory.
func (a *agent) lstat(file string) error {
	return command.AsUser(a.conf.user, func() error {
		_, err := os.Lstat(file)
		return err
	})
}

// standbySignal says whether what runs was started as a standby and has not been
// promoted, whatever it is that has the file's name.
func (a *agent) standbySignal() (bool, error) {
	err := a.lstat(filepath.Join(a.conf.dataDir, "standby.signal"))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// checkSettings wants the settings with which a standby can follow any promotion. They
// are read as the server will read them, with start_opts.
func (a *agent) checkSettings(ctx context.Context) error {
	names := append([]string{
		"data_directory", "primary_conninfo", "recovery_target_timeline", "hot_standby", "wal_level",
	}, recoveryTargets...)
	settings, err := a.db.Settings(ctx, names...)
	if err != nil {
		return reasonSettings.Because(err, a.conf.pgData)
	}
	return a.checkSettingValues(ctx, settings)
}

var recoveryTargets = []string{
	"recovery_target", "recovery_target_lsn", "recovery_target_name", "recovery_target_time", "recovery_target_xid",
}

func (a *agent) checkSettingValues(ctx context.Context, settings map[string]string) error {
	if err := a.checkDataDirectory(settings["data_directory"]); err != nil {
		return err
	}
	if v := settings["recovery_target_timeline"]; v != "latest" {
		return reasonTimeline.With(v)
	}
	for _, name := range recoveryTargets {
		if v := settings[name]; v != "" {
			return reasonTarget.With(name, v)
		}
	}
	if v := settings["hot_standby"]; v != "on" {
		return reasonHotStandby.With(v)
	}
	if v := settings["wal_level"]; v != "replica" && v != "logical" {
		return reasonWALLevel.With(v)
	}
	return a.checkApplicationName(ctx, settings["primary_conninfo"])
}

// checkDataDirectory wants PostgreSQL to run where the agent looks after it. The
// setting is never empty: without one it is the directory that postgres was given.
func (a *agent) checkDataDirectory(setting string) error {
	same := false
	err := command.AsUser(a.conf.user, func() error {
		used, err := os.Stat(setting)
		if err != nil {
			return err
		}
		ours, err := os.Stat(a.conf.dataDir)
		same = err == nil && os.SameFile(used, ours)
		return err
	})
	if !same {
		return reasonDataDirSetting.Because(err, setting, a.conf.dataDir)
	}
	return nil
}

// checkApplicationName wants the name under which the primary finds this node's
// standby in pg_stat_replication. The conninfo itself is never shown: it may hold a
// password.
func (a *agent) checkApplicationName(ctx context.Context, conninfo string) error {
	self, err := a.nodeName(ctx)
	if err != nil {
		return err
	}
	fields, err := pg.ParseConninfo(conninfo)
	if err != nil {
		return reasonAppName.Because(fmt.Errorf("primary_conninfo cannot be read: %w", err), "", self)
	}
	if name := fields["application_name"]; name != self {
		return reasonAppName.With(name, self)
	}
	return nil
}
