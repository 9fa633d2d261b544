//go:build lab

package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pgsqlms/test/lab"
)

// Variables that choose what is tested, and what is left behind.
const (
	envAgent = "PGSQLMS_AGENT" // the agent under test, instead of the one "make build" leaves
	envKeep  = "KEEP"          // leave the cluster up at the end, as it is after a failure, and take one that is up
	envName  = "PGSQLMS_LAB"   // the shared cluster's name
	envSuite = "PGSQLMS_SUITE" // the Debian release of the shared cluster's nodes
)

// interrupted ends with Ctrl-C, so that a stopped run takes its clusters down.
var interrupted context.Context

// shared is the cluster of most tests. It comes up with the first that needs it.
var shared struct {
	lab   *lab.Lab
	first firstStart
}

// firstStart is what stood there when the shared cluster had come up for the first time.
type firstStart struct {
	primary  string
	timeline int
}

func TestMain(m *testing.M) {
	lab.Hook()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	ctx, cancel := lab.UntilInterrupted(context.Background())
	defer cancel()
	interrupted = ctx
	code := m.Run()
	if err := takeDown(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return max(code, 1)
	}
	return code
}

func keep() bool { return os.Getenv(envKeep) != "" }

// takeDown ends the shared cluster, if there is one.
func takeDown() error {
	if shared.lab == nil {
		return nil
	}
	if keep() {
		fmt.Printf("kept: bin/lab status --name %[1]s; bin/lab down --name %[1]s\n", shared.lab.Config().Name)
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	err := shared.lab.Down(ctx)
	shared.lab = nil
	return err
}

// agentUnderTest is the file that is installed as the agent.
func agentUnderTest(t *testing.T) string {
	t.Helper()
	path := os.Getenv(envAgent)
	if path == "" {
		path = "../../bin/pgsqlms"
	}
	path, err := filepath.Abs(path)
	require.NoError(t, err)
	require.FileExists(t, path, `the agent is not built: run "make build"`)
	return path
}

// labName is this process's own, so that two runs can stand side by side.
func labName() string {
	if name := os.Getenv(envName); name != "" {
		return name
	}
	return fmt.Sprintf("e%d", os.Getpid()%1_000_000)
}

// The monitors' intervals, as recommended.
var (
	promotedInterval   = lab.MonitorInterval(lab.RecommendedOps(""), "Promoted")
	unpromotedInterval = lab.MonitorInterval(lab.RecommendedOps(""), "Unpromoted")
)

// sharedLab brings the shared cluster up, or finds it up.
func sharedLab(ctx context.Context, t *testing.T) *lab.Lab {
	t.Helper()
	if shared.lab != nil {
		return shared.lab
	}
	if l := keptLab(t); l != nil {
		shared.lab = l
		return l
	}
	l, err := lab.Up(ctx, lab.Config{Name: labName(), Suite: os.Getenv(envSuite), Agent: agentUnderTest(t), Sync: true}, nil)
	require.NoError(t, err)
	shared.lab = l
	primary, err := l.Primary(ctx)
	require.NoError(t, err)
	shared.first = firstStart{primary: primary, timeline: timeline(ctx, t, l, primary)}
	return l
}

// keptLab is the cluster that an earlier run has left up, with the agent under test put in.
func keptLab(t *testing.T) *lab.Lab {
	t.Helper()
	if !keep() {
		return nil
	}
	l, err := lab.Open(labName())
	if err != nil {
		return nil
	}
	require.NoError(t, l.InstallAgent(agentUnderTest(t)))
	return l
}
