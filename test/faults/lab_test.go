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
	name    string
	mode    Mode
	variant string // the whole name; none where there is only one
}{
	{"F1", Sync, orphans}, {"F2", Sync, ""}, {"F3", Sync, ""}, {"F18", Sync, ""}, {"F20", Sync, slotsUsedUp},
	{StepsID, Sync, "promote-decided " + killAgent}, {StepsID, Sync, "demote-down " + killAgent}, {StepsID, Sync, "promote-decided " + killNode},
	{"F7", Async, "every standby"},
}

// A plan of chance with something to take back, short, and without a failover.
const sampleSeed = 1008

// A sample of the scenarios, without a breach of any invariant.
func TestSample(t *testing.T) {
	ctx, cancel := lab.UntilInterrupted(context.Background())
	defer cancel()
	r := NewRunner(Options{
		Agent: agentUnderTest(t), Name: fmt.Sprintf("f%d", os.Getpid()%1_000_000), Suite: lab.DefaultSuite,
		Monitor: 3 * time.Second, Size: Size{Switchovers: 3, ReplayMB: 50}, Say: func(text string) { t.Log(text) },
	})
	defer func() { assert.NoError(t, r.Close(ctx)) }()
	play := func(f Fault, mode Mode, seed uint64) {
		run, err := r.Play(ctx, f, mode, 0, seed)
		require.NoError(t, err)
		text := strings.Join(run.Lines(), "\n")
		t.Log(text)
		assert.True(t, run.Healthy(), text)
	}
	for _, s := range sample {
		play(sampled(ctx, t, s.name, s.variant), s.mode, 1)
	}
	plan := Draw(sampleSeed)
	t.Log(plan.String())
	play(Random(plan), plan.Mode, sampleSeed)
}

// sampled is a scenario with one of its variants.
func sampled(ctx context.Context, t *testing.T, name, variant string) Fault {
	t.Helper()
	faults, err := Choose([]string{name})
	require.NoError(t, err)
	if name == StepsID {
		binary := fileUnderTest(t, "PGSQLMS_FAILPOINT_AGENT", "../../bin/pgsqlms-failpoint")
		names, err := Failpoints(ctx, binary)
		require.NoError(t, err)
		faults = WithFailpoints(faults, binary, names)
	}
	f := faults[0]
	if variant != "" {
		require.Contains(t, f.Variants, variant, name)
		f.Variants = []string{variant}
	}
	return f
}

// agentUnderTest is the file that is installed as the agent.
func agentUnderTest(t *testing.T) string {
	t.Helper()
	return fileUnderTest(t, "PGSQLMS_AGENT", "../../bin/pgsqlms")
}

func fileUnderTest(t *testing.T, variable, otherwise string) string {
	t.Helper()
	path := os.Getenv(variable)
	if path == "" {
		path = otherwise
	}
	path, err := filepath.Abs(path)
	require.NoError(t, err)
	require.FileExists(t, path, `not built: run "make build failpoint-agent"`)
	return path
}
