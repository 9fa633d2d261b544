//go:build realpg

package agent

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pgsqlms/internal/command"
	"pgsqlms/internal/ocf"
	"pgsqlms/internal/pg"
)

// realAgent acts on a PostgreSQL of its own, fresh from initdb, with these settings and standby.signal. Root runs it; what
// it asks of the cluster, a fake answers.
func realAgent(t *testing.T, settings string) *agent {
	user, err := command.LookupUser(t.Context(), "postgres")
	require.NoError(t, err)
	bin := os.Getenv("PGSQLMS_BINDIR")
	if bin == "" {
		found, err := filepath.Glob("/usr/lib/postgresql/*/bin")
		require.NoError(t, err)
		require.NotEmpty(t, found, "no PostgreSQL below /usr/lib/postgresql, and PGSQLMS_BINDIR is not set")
		bin = found[len(found)-1]
	}
	dir, err := os.MkdirTemp("", "pg-") // short, for the path of the socket
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	require.NoError(t, os.Chmod(dir, 0o755))
	require.NoError(t, os.Chown(dir, int(user.UID), int(user.GID)))

	data := filepath.Join(dir, "data")
	out, err := command.Run(t.Context(), command.Cmd{
		Path: filepath.Join(bin, "initdb"), Args: []string{"-D", data, "-A", "peer", "--no-sync", "--no-locale"}, User: &user,
	})
	require.NoError(t, err)
	require.Zero(t, out.Code, out.Stderr)
	settings = "listen_addresses = ''\nunix_socket_directories = '" + dir + "'\nshared_buffers = 4MB\n" + settings
	require.NoError(t, os.WriteFile(filepath.Join(data, "postgresql.auto.conf"), []byte(settings), 0o600))

	a, _ := newTestAgent(map[string]string{})
	a.conf = config{user: user, binDir: bin, pgData: data, dataDir: data, host: dir, port: 5432, logPath: filepath.Join(dir, "log")}
	a.store = newStore(t.TempDir(), "pgsqld")
	a.req.Deadline = time.Now().Add(time.Minute)
	a.openInstance()
	t.Cleanup(func() {
		_ = a.db.Shutdown(context.Background(), pg.Kill)
		require.NoError(t, a.endOrphans(context.Background()))
		if t.Failed() {
			log, _ := os.ReadFile(a.conf.logPath)
			t.Logf("%s", log)
		}
	})
	require.NoError(t, a.startStandby(t.Context()))
	return a
}

// A promotion is held where standby.signal is gone and the role is still the old one. Let go after the demotion, it must
// not come to its end.
func TestRealDemotionOfAHalfPromoted(t *testing.T) {
	a := realAgent(t, "recovery_end_command = 'while test -e hold; do sleep 0.01; done'\n") // in the data directory
	hold := filepath.Join(a.conf.dataDir, "hold")
	require.NoError(t, os.WriteFile(hold, nil, 0o600))
	require.NoError(t, a.db.Promote(t.Context()))
	require.Eventually(t, func() bool {
		there, err := a.db.StandbySignal()
		return err == nil && !there
	}, time.Minute, pollEvery)
	_, err := a.startRunning(t.Context())
	require.ErrorContains(t, err, "is being promoted")

	code, err := a.demote(t.Context())
	require.NoError(t, err)
	require.Equal(t, ocf.Success, code)
	require.NoError(t, os.Remove(hold))
	there, err := a.db.StandbySignal()
	require.NoError(t, err)
	require.True(t, there)
	promoting, err := a.db.Promoting(t.Context())
	require.NoError(t, err)
	require.False(t, promoting)
	require.Never(t, func() bool {
		status, err := a.look(t.Context())
		return err == nil && !status.InRecovery
	}, time.Second, 100*time.Millisecond)
}
