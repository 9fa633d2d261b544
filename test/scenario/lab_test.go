//go:build lab

package scenario

import (
	"context"
	"os"
	"path/filepath"
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

// A first start, a primary that dies with WAL that nobody had, and a frozen one: the scenarios that the end-to-end tests
// of the agent do not play in this form.
func TestScenarios(t *testing.T) {
	agent, err := filepath.Abs("../../bin/pgsqlms")
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(context.Background(), 8*time.Minute)
	defer cancel()
	config := lab.Config{Name: "scenario", Agent: agent, Sync: true, NoSync: true}
	l, result, err := FirstStart(ctx, config, func(text string) { t.Log(text) })
	t.Cleanup(func() { _ = lab.Down(context.Background(), config.Name) })
	require.NoError(t, err)
	assertWell(t, result)
	assert.Empty(t, result.Before)
	runner := Runner{Lab: l, Repair: l.Rebuild, Pinned: true, Progress: func(text string) { t.Log(text) }}

	t.Run("diverged", func(t *testing.T) {
		result, err := runner.Run(ctx, Scenario{Name: "a primary that dies with WAL of its own", Inject: dieWithMore})
		require.NoError(t, err)
		assertWell(t, result)
		assert.Equal(t, []string{result.Before}, result.Repaired)
		assert.NotEqual(t, result.Before, result.After)
		assert.NotZero(t, result.Phases.Fencing())
		assert.Less(t, result.Phases.FenceTaken, result.Phases.PromoteDone)
	})
	t.Run("frozen", func(t *testing.T) {
		result, err := runner.Run(ctx, Freeze())
		require.NoError(t, err)
		assertWell(t, result)
		assert.Len(t, result.Fencings, 1)
	})
}

// dieWithMore writes on the primary what nobody receives, and kills its node.
func dieWithMore(ctx context.Context, p *Play) error {
	if err := p.Lab.Cut(ctx, p.Primary); err != nil {
		return err
	}
	if _, err := p.Lab.SQL(ctx, p.Primary, "set synchronous_commit = local; create table more ()"); err != nil {
		return err
	}
	if err := p.Lab.KillNode(ctx, p.Primary); err != nil {
		return err
	}
	return p.Lab.Heal(ctx, p.Primary)
}

func assertWell(t *testing.T, r Result) {
	t.Helper()
	t.Logf("%q", r.Row())
	assert.Empty(t, r.Complaints())
	assert.True(t, r.Measured())
}
