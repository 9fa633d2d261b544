//go:build lab

package lab

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSandbox(t *testing.T) {
	host := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(host, "file"), []byte("of the host"), 0o644))
	var out, errs bytes.Buffer
	code, err := RunInTree(testContext(t), Sandbox{
		Binds: []Bind{{Host: host, Inside: "/ro"}, {Host: host, Inside: "/rw", Write: true}, {Host: filepath.Join(host, "file"), Inside: "/etc/one"}},
		Dir:   "/rw", Env: []string{"X=y"},
		Stdout: &out, Stderr: &errs,
	}, "sh", "-c", "pwd; echo $X; cat /ro/file /etc/one; touch /ro/x 2>/dev/null || echo read-only; echo made > new; ls /usr/bin/psql; ip -br a; exit 5")
	require.NoError(t, err)
	require.Equal(t, 5, code)
	require.Empty(t, errs.String())
	require.Contains(t, out.String(), "/rw\ny\nof the hostof the hostread-only\n/usr/bin/psql\nlo ")
	require.Contains(t, out.String(), "127.0.0.1/8")
	made, err := os.ReadFile(filepath.Join(host, "new"))
	require.NoError(t, err)
	require.Equal(t, "made\n", string(made))
}

func TestSandboxEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithTimeout(testContext(t), 500*time.Millisecond)
	defer cancel()
	_, err := RunInTree(ctx, Sandbox{}, "sh", "-c", "sleep 8765 & sleep 8765")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	for _, p := range glob("/proc/[0-9]*/cmdline") {
		title, err := os.ReadFile(p)
		if err == nil {
			require.NotContains(t, string(title), "8765")
		}
	}
}

func TestSandboxWithoutTheCommand(t *testing.T) {
	var errs bytes.Buffer
	code, err := RunInTree(testContext(t), Sandbox{Stderr: &errs}, "nosuchcommand")
	require.NoError(t, err)
	require.Equal(t, 127, code)
	require.Contains(t, errs.String(), "nosuchcommand")
}
