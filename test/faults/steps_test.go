package faults

import (
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"pgsqlms/test/lab"
)

// quoted are the first groups of a pattern in all files of a glob.
func quoted(t *testing.T, glob, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(glob)
	require.NoError(t, err)
	require.NotEmpty(t, files)
	found := map[string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, m := range regexp.MustCompile(pattern).FindAllSubmatch(text, -1) {
			found[string(m[1])] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// A failpoint of the agent that is not in its list is never played, and one in the list that nobody hits is never come by.
func TestFailpointsAreListed(t *testing.T) {
	hit := quoted(t, "../../internal/agent/*.go", `failpoint\.Hit\("([^"]*)"\)`)
	assert.Equal(t, hit, quoted(t, "../../internal/failpoint/on.go", `"([a-z]+-[a-z]+)"`))
	for _, name := range []string{pointNominate, pointAside, pointBoth, pointHold, pointSkipped} {
		assert.Contains(t, hit, name)
	}
}

// A start that is killed bans its node, whatever the agent does, and a stop has it fenced. A demotion that starts PostgreSQL is
// killed at the same places.
func TestVariantsOfSteps(t *testing.T) {
	f := everyStep("agent", []string{"start-signal", "start-launched", "start-up", pointHold, "stop-down"})
	assert.Equal(t, []string{
		"start-signal kill in demote", "start-signal node", "start-launched kill in demote", "start-launched node", "start-up node",
		"promote-hold kill", "promote-hold node", "stop-down node",
	}, f.Variants)
}

// With asynchronous replication nobody waits for a vote: what cannot be played is not counted as played.
func TestStepsOfAMode(t *testing.T) {
	all := everyStep("agent", []string{"promote-begin", pointHold})
	sync, ok := all.in(Sync)
	assert.True(t, ok)
	assert.Equal(t, []string{"promote-begin kill", "promote-begin node", "promote-hold kill", "promote-hold node"}, sync.Variants)
	async, ok := all.in(Async)
	assert.True(t, ok)
	assert.Equal(t, []string{"promote-begin kill", "promote-begin node"}, async.Variants)
	assert.Equal(t, 2, async.plays(1))
	only, err := OnlyVariants([]Fault{all}, pointHold)
	require.NoError(t, err)
	_, ok = only[0].in(Async)
	assert.False(t, ok)
	_, ok = Fault{Modes: []Mode{Sync}}.in(Async)
	assert.False(t, ok)
	_, ok = Fault{}.in(Async)
	assert.True(t, ok)
}

// The steps of a start that a demotion comes by are those of starting the server as a standby, which both do.
func TestStepsOfADemotionsStart(t *testing.T) {
	assert.Contains(t, body(t, "demote.go", "followUp"), "a.startStandby(ctx)")
	assert.Contains(t, body(t, "start.go", "startStandby"), "a.launchStandby(ctx)")
	passed := body(t, "start.go", "startStandby") + body(t, "start.go", "launchStandby")
	var points []string
	for _, m := range regexp.MustCompile(`failpoint\.Hit\("([^"]*)"\)`).FindAllStringSubmatch(passed, -1) {
		points = append(points, m[1])
	}
	assert.Equal(t, thereDemoted, points)
}

// body is a method of the agent as it is written.
func body(t *testing.T, file, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../internal/agent", file))
	require.NoError(t, err)
	found := regexp.MustCompile(`(?ms)^func \(a \*agent\) ` + name + `\(.*?^}$`).Find(text)
	require.NotEmpty(t, found, name)
	return string(found)
}

func TestKillingsByTheirNames(t *testing.T) {
	for variant, k := range map[string]killing{
		"promote-told kill":           {"promote-told", killAgent, ""},
		"start-up node":               {"start-up", killNode, ""},
		"start-signal kill in demote": {"start-signal", killAgent, demotion},
	} {
		assert.Equal(t, k, killingOf(variant))
		assert.Equal(t, variant, k.String())
	}
	assert.Equal(t, "start-signal kill demote\n", killing{"start-signal", killAgent, demotion}.line())
	assert.Equal(t, "start-up node\n", killing{"start-up", killNode, ""}.line())
}

// What no ordinary day comes by has a trigger of its own.
func TestTriggersOfAFailpoint(t *testing.T) {
	p := &Play{
		Primary: "n1", Standbys: []string{"n2", "n3"}, Rand: rand.New(rand.NewPCG(1, 1)),
		stand: &stand{config: lab.Config{Ops: operations("", 5*time.Second)}},
	}
	names := func(point string) (all []string) {
		for _, one := range p.triggersOf(t.Context(), killingOf(point)) {
			all = append(all, one.name)
		}
		return all
	}
	assert.Len(t, names("promote-told kill"), 3)
	assert.Len(t, names("start-signal node"), 3)
	demoted := names("start-signal kill in demote")
	require.Len(t, demoted, 1)
	assert.Contains(t, demoted[0], "switchover to ")
	assert.Equal(t, []string{"stop and start of the whole cluster"}, names(pointNominate))
	assert.Equal(t, []string{"power loss of the primary, its best standby starved"}, names(pointAside))
	assert.Equal(t, names(pointAside), names(pointBoth))
	assert.Equal(t, []string{"power loss of the primary, a standby out of service"}, names(pointHold))
	assert.Equal(t, []string{"power loss of the primary, and of the next one, which nobody can follow"}, names(pointSkipped))
}
