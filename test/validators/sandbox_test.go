//go:build lab

package validators

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pgsqlms/test/lab"
)

// The agent under test as "make build" leaves it, and where it stands in the sandbox.
const (
	built     = "../../bin/pgsqlms"
	installed = "/usr/lib/ocf/resource.d/heartbeat/pgsqlms"
)

func TestMain(m *testing.M) {
	lab.Hook()
	os.Exit(m.Run())
}

// sandbox runs a shell script in a throw-away root of the lab's tree in which the agent is installed, and returns what
// it printed. The script fails the test when a command in it does.
func sandbox(t *testing.T, script string) string {
	t.Helper()
	out, code := try(t, script)
	require.Zero(t, code, "%s\n%s", script, out)
	return out
}

// try is sandbox for a script that may fail.
func try(t *testing.T, script string) (output string, code int) {
	t.Helper()
	agent, err := filepath.Abs(built)
	require.NoError(t, err)
	require.FileExists(t, agent, `the agent is not built: run "make build"`)

	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute) // the first one may have to make the tree
	defer cancel()
	var out bytes.Buffer
	code, err = lab.RunInTree(ctx, lab.Sandbox{
		Binds:  []lab.Bind{{Host: filepath.Dir(agent), Inside: "/built"}},
		Env:    []string{"LC_ALL=C.UTF-8", "TERM=dumb"},
		Stdout: &out,
		Stderr: &out,
	}, "/bin/sh", "-ec", "install -m 0755 /built/"+filepath.Base(agent)+" "+installed+"\ncd /tmp\n"+script)
	require.NoError(t, err)
	return out.String(), code
}
