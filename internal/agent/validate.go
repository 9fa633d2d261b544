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

	"pgsqlms/internal/command"
	"pgsqlms/internal/ocf"
	"pgsqlms/internal/pg"
)

// validate checks the configuration, for validate-all and before every start. It runs
// in the way of no other action.
func (a *agent) validate(ctx context.Context) (ocf.ExitCode, error) {
	if err := a.validateAll(ctx); err != nil {
		return refuse(err)
	}
	return ocf.Success, nil
}

func (a *agent) validateAll(ctx context.Context) error {
	for _, problem := range a.conf.problems {
		return problem
	}
	for _, check := range []func(context.Context) error{
		a.checkMeta, a.checkFeatureSet, a.checkTools, a.checkData, a.checkInstalled, a.checkTemplate, a.checkSettings,
	} {
		if err := check(ctx); err != nil {
			return err
		}
	}
	return nil
}

// checkMeta wants the clone's meta attributes that the agent cannot do without. Those
// that are absent have the value wanted as their default, except notify.
func (a *agent) checkMeta(context.Context) error {
	// Run by hand, the action has no word of the node, nor reliably of the clone.
	if _, clone := a.req.Meta("clone"); !clone && a.req.Node() != "" {
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
	return nil
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
	if err := a.db.CheckBinaries(); err != nil {
		return reasonBinaries.Because(err, a.conf.binDir)
	}
	if _, err := a.version(); err != nil {
		return err
	}
	if err := a.db.CheckVersion(ctx); err != nil {
		return reasonVersion.Because(err, a.conf.binDir, a.conf.dataDir)
	}
	return nil
}

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

func (a *agent) checkData(context.Context) error { return a.checkDataDir() }

func (a *agent) checkDataDir() error {
	err := a.db.CheckDataDir()
	switch {
	case err == nil:
		return nil
	case errors.Is(err, pg.ErrDataDirAccess):
		return reasonDataDirPerm.Because(err)
	}
	return reasonDataDir.Because(err)
}

// checkTemplate refuses a recovery.conf template from PostgreSQL 12 on, if it exists:
// the server would not start with the file it makes.
func (a *agent) checkTemplate(context.Context) error {
	major, err := a.version()
	if err != nil {
		return err
	}
	if major < 12 {
		return nil
	}
	for _, file := range []string{a.conf.template, filepath.Join(a.conf.dataDir, "recovery.conf")} {
		if a.exists(file) {
			return reasonTemplate.With(file, major)
		}
	}
	return nil
}

// exists looks as the system user: the file is below its directory.
func (a *agent) exists(file string) bool {
	return command.AsUser(a.conf.user, func() error {
		_, err := os.Lstat(file)
		return err
	}) == nil
}

// checkSettings wants the settings with which a standby can follow any promotion. They
// are read as the server will read them, with start_opts.
func (a *agent) checkSettings(ctx context.Context) error {
	major, err := a.version()
	if err != nil {
		return err
	}
	if major < 12 {
		return nil
	}
	names := append([]string{"primary_conninfo", "recovery_target_timeline", "hot_standby", "wal_level"}, recoveryTargets...)
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
