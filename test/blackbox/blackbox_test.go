package blackbox

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestMain makes this binary everything the scripts need: run under the name of a fake it is that fake, otherwise it
// is the test.
func TestMain(m *testing.M) {
	testscript.Main(suite{m}, map[string]func(){
		"attrd_updater":  fakeAttrdUpdater,
		"crm_attribute":  fakeCrmAttribute,
		"crm_mon":        fakeCrmMon,
		"crm_node":       fakeCrmNode,
		"pg_controldata": fakePgControldata,
		"pg_ctl":         fakePgCtl,
		"pg_waldump":     fakePgWaldump,
		"postgres":       fakePostgres,
		backendTitle:     fakeBackend,
		hungChildName:    func() { time.Sleep(longestLife) },
	})
}

// suite builds the agent before the first test.
type suite struct{ m *testing.M }

func (s suite) Run() int {
	dir, err := os.MkdirTemp("", "pgsqlms-blackbox")
	if err == nil {
		// The system user must get through to the data directories.
		err = os.Chmod(dir, 0o711)
	}
	if err == nil {
		err = buildAgent(filepath.Join(dir, "pgsqlms"))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "cannot prepare the black-box tests:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	suiteDir = dir
	adoptOrphans()
	if err := flag.Set("test.parallel", "6"); err != nil { // the scripts mostly wait; -parallel still counts
		fmt.Fprintln(os.Stderr, err)
	}
	return s.m.Run()
}

// suiteDir holds the agent, and the directory of each script. Its path is short, because it becomes part of the path of
// a Unix socket, which has room for 107 bytes.
var suiteDir string

// adoptOrphans makes servers that the agent started children of this process when the agent ends, to be waited for: in a
// container there may be nobody else who does.
func adoptOrphans() { _ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) }

func agentPath() string { return filepath.Join(suiteDir, "pgsqlms") }

func TestScripts(t *testing.T) { runScripts(t, "testdata") }

func runScripts(t *testing.T, dir string) {
	require.NoError(t, noteSources())
	testscript.Run(t, testscript.Params{
		Dir:                dir,
		WorkdirRoot:        suiteDir,
		Setup:              setUp,
		Cmds:               scriptCommands,
		Condition:          condition,
		RequireUniqueNames: true,
	})
}
