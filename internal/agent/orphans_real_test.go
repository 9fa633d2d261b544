//go:build realpg

package agent

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pgsqlms/internal/command"
)

// A backend that computes does not notice that its postmaster is gone. It is let come to its end.
func TestRealOrphansMayEndByThemselves(t *testing.T) {
	a := realInstance{realAgent(t, "")}
	begun, ended := filepath.Join(a.conf.host, "begun"), filepath.Join(a.conf.host, "ended")
	statement := fmt.Sprintf(`DO $$ DECLARE until timestamptz := clock_timestamp() + '%d ms';
		BEGIN COPY (SELECT 1) TO '%s'; WHILE clock_timestamp() < until LOOP END LOOP; COPY (SELECT 1) TO '%s'; END $$`,
		(orphanPatience / 2).Milliseconds(), begun, ended)
	over := make(chan struct{})
	go func() {
		defer close(over)
		_, _ = command.Run(context.WithoutCancel(t.Context()), command.Cmd{
			Path: filepath.Join(a.conf.binDir, "psql"), Args: []string{"-XAtqc", statement, "postgres"}, Env: []string{"PGHOST=" + a.conf.host}, User: &a.conf.user,
		})
	}()
	require.Eventually(t, func() bool { _, err := os.Stat(begun); return err == nil }, time.Minute, pollEvery)
	processes, err := a.db.Processes()
	require.NoError(t, err)
	require.NoError(t, syscall.Kill(processes.Postmaster, syscall.SIGKILL))
	require.NoError(t, a.endOrphans(t.Context()))
	require.FileExists(t, ended)
	<-over
}
