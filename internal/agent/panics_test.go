package agent

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"pgsqlms/internal/ocf"
	"pgsqlms/metadata"
)

// instead puts something in the place of an action.
func instead(t *testing.T, name string, do action) {
	t.Helper()
	was := actions[name]
	actions[name] = do
	t.Cleanup(func() { actions[name] = was })
}

// outOfRange is an error in the agent itself.
func (a *agent) outOfRange(context.Context) (ocf.ExitCode, error) {
	return ocf.ExitCode(a.req.Action[len(a.req.Action)]), nil
}

// A panic is a failure (1), and not the runtime's 2, which bans the node.
func TestPanicOfAnAction(t *testing.T) {
	for name, want := range map[string]struct {
		code ocf.ExitCode
		says string
	}{
		metadata.Monitor: {ocf.ErrGeneric, "ocf-exit-reason:an error in the agent itself: runtime error: index out of range [7] with length 7; to do: "},
		metadata.Notify:  {ocf.Success, "WARNING: an error in the agent itself: runtime error: index out of range [6] with length 6\n"},
	} {
		instead(t, name, (*agent).outOfRange)
		var stderr bytes.Buffer
		code := Run(t.Context(), Process{
			Args: []string{name}, Stderr: &stderr, Started: time.Now(), Environ: []string{"OCF_RESKEY_pgdata=" + t.TempDir(), "OCF_RESKEY_CRM_meta_notify_type=pre", "OCF_RESKEY_CRM_meta_notify_operation=start"},
		})
		assert.Equal(t, want.code, code)
		assert.Contains(t, stderr.String(), want.says)
		assert.Contains(t, stderr.String(), "agent.(*agent).outOfRange(", "the stack")
	}
}

// What no action's goroutine can catch ends the process by a signal. This is run again in a
// process that can be lost.
func TestPanicBesideAnAction(t *testing.T) {
	const lost = "PGSQLMS_TEST_PANIC"
	if os.Getenv(lost) != "" {
		require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{}))
		instead(t, metadata.Monitor, func(*agent, context.Context) (ocf.ExitCode, error) {
			return ocf.Success, forEach([]string{"n1"}, func(string) error { panic("beside") })
		})
		Run(t.Context(), Process{Args: []string{metadata.Monitor}, Stderr: os.Stderr, Started: time.Now(), Environ: []string{"OCF_RESKEY_pgdata=" + t.TempDir()}})
		return
	}
	helper := exec.Command("/proc/self/exe", "-test.run", "^TestPanicBesideAnAction$")
	helper.Env = append(os.Environ(), lost+"=1")
	out, err := helper.CombinedOutput()
	var ended *exec.ExitError
	require.True(t, errors.As(err, &ended), "%v: %s", err, out)
	status, ok := ended.Sys().(syscall.WaitStatus)
	require.True(t, ok)
	assert.Equal(t, syscall.SIGABRT, status.Signal(), "%v", ended)
	assert.Contains(t, string(out), "panic: beside")
}
