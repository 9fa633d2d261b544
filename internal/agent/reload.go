package agent

import (
	"context"

	"pgsqlms/internal/ocf"
)

// reload makes PostgreSQL read its configuration files again.
func (a *agent) reload(ctx context.Context) (ocf.ExitCode, error) {
	processes, err := a.db.Processes()
	if err != nil {
		return refuse(reasonAsk.Because(err, a.conf.dataDir))
	}
	if processes.Postmaster == 0 {
		return refuse(reasonNotRunning.With(a.conf.dataDir, "reload"))
	}
	if err := a.db.Reload(ctx); err != nil {
		return refuse(reasonReload.Because(err, a.conf.dataDir))
	}
	return ocf.Success, nil
}
