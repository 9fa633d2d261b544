//go:build lab

package faults

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"pgsqlms/test/lab"
)

func TestMain(m *testing.M) {
	lab.Hook()
	os.Exit(m.Run())
}

// sample is what "make test" plays of all that "make faults" can: on one cluster, synchronous first.
var sample = []struct {
	name  string
	mode  Mode
	round int // which of its variants
}{
	{"F1", Sync, 1}, {"F2", Sync, 0}, {"F3", Sync, 0}, {"F18", Sync, 0}, {"F20", Sync, 0}, {"F7", Async, 1},
}

// A sample of the scenarios, without a breach of any invariant.
func TestSample(t *testing.T) {
	ctx, cancel := lab.UntilInterrupted(context.Background())
	defer cancel()
	r := NewRunner(Options{
		Agent: agentUnderTest(t), Name: fmt.Sprintf("f%d", os.Getpid()%1_000_000), Suite: lab.DefaultSuite,
		Monitor: 3 * time.Second, Size: Size{Switchovers: 3, ReplayMB: 50}, Say: func(text string) { t.Log(text) },
	})
	defer func() { assert.NoError(t, r.Close(ctx)) }()
	for _, s := range sample {
		faults, err := Choose([]string{s.name})
		require.NoError(t, err)
		run, err := r.Play(ctx, faults[0], s.mode, s.round, 1)
		require.NoError(t, err)
		text := strings.Join(run.Lines(), "\n")
		t.Log(text)
		assert.True(t, run.Healthy(), text)
	}
}

// agentUnderTest is the file that is installed as the agent.
func agentUnderTest(t *testing.T) string {
	t.Helper()
	path := os.Getenv("PGSQLMS_AGENT")
	if path == "" {
		path = "../../bin/pgsqlms"
	}
	path, err := filepath.Abs(path)
	require.NoError(t, err)
	require.FileExists(t, path, `the agent is not built: run "make build"`)
	return path
}
