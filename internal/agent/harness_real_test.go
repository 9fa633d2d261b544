//go:build realpg

package agent

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
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
	a := newRealAgent(t)
	a.run(t, "initdb", "-D", a.conf.dataDir, "-A", "peer", "--no-sync", "--no-locale")
	a.configure(t, "listen_addresses = ''\nshared_buffers = 4MB\n"+settings)
	require.NoError(t, a.startStandby(t.Context()))
	return a.agent
}

// realInstance is an agent with what only a test does to its instance.
type realInstance struct{ *agent }

// recurringMonitor is Pacemaker's request for one of node b, a minute from its timeout.
func recurringMonitor() ocf.Request {
	return ocf.ParseRequest([]string{"monitor"}, []string{
		"OCF_RESOURCE_INSTANCE=pgsqld", "OCF_RESKEY_CRM_meta_on_node=b", "OCF_RESKEY_CRM_meta_interval=15000", "OCF_RESKEY_CRM_meta_timeout=60000",
	}, time.Now())
}

// newRealAgent has no data yet.
func newRealAgent(t *testing.T) realInstance {
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
	return realInstance{a}
}

// run is one of PostgreSQL's programs, as the system user.
func (a realInstance) run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := command.Run(t.Context(), command.Cmd{
		Path: filepath.Join(a.conf.binDir, name), Args: args, Env: []string{"PGHOST=" + a.conf.host}, User: &a.conf.user,
	})
	require.NoError(t, err)
	require.Zero(t, out.Code, "%s %s", out.Stdout, out.Stderr)
	return strings.TrimSpace(out.Stdout)
}

func (a realInstance) sql(t *testing.T, text string) string {
	t.Helper()
	return a.run(t, "psql", "-XAtqc", text, "postgres")
}

// configure adds settings, which win over those of before, for the next start or reload.
func (a realInstance) configure(t *testing.T, settings string) {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(a.conf.dataDir, "postgresql.auto.conf"), os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	defer f.Close()
	_, err = f.WriteString("unix_socket_directories = '" + a.conf.host + "'\n" + settings)
	require.NoError(t, err)
}

// promoted waits for the end of its promotion.
func (a realInstance) promoted(t *testing.T) {
	t.Helper()
	require.NoError(t, a.db.Promote(t.Context()))
	require.Eventually(t, func() bool { return !a.inRecovery(t.Context()) }, time.Minute, pollEvery)
}

// down waits until nothing of it runs.
func (a realInstance) down(t *testing.T, how pg.ShutdownMode) {
	t.Helper()
	require.NoError(t, a.db.Shutdown(t.Context(), how))
	require.Eventually(t, func() bool {
		p, err := a.db.Processes()
		return err == nil && p.Postmaster == 0 && len(p.Orphans) == 0
	}, time.Minute, pollEvery)
}

// copied is another instance with the data of this one, which is down.
func (a realInstance) copied(t *testing.T) realInstance {
	t.Helper()
	b := newRealAgent(t)
	out, err := exec.CommandContext(t.Context(), "cp", "-a", a.conf.dataDir, b.conf.dataDir).CombinedOutput()
	require.NoError(t, err, "%s", out)
	b.configure(t, "")
	return b
}
