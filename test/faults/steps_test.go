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

// A start that is killed bans its node, whatever the agent does, and a stop has it fenced.
func TestVariantsOfSteps(t *testing.T) {
	f := everyStep("agent", []string{"start-up", pointHold, "stop-down"})
	assert.Equal(t, []string{"start-up node", "promote-hold kill", "promote-hold node", "stop-down node"}, f.Variants)
}

// What no ordinary day comes by has a trigger of its own.
func TestTriggersOfAFailpoint(t *testing.T) {
	p := &Play{
		Primary: "n1", Standbys: []string{"n2", "n3"}, Rand: rand.New(rand.NewPCG(1, 1)),
		stand: &stand{config: lab.Config{Ops: operations(5 * time.Second)}},
	}
	names := func(point string) (all []string) {
		for _, one := range p.triggersOf(t.Context(), point) {
			all = append(all, one.name)
		}
		return all
	}
	assert.Len(t, names("promote-told"), 3)
	assert.Equal(t, []string{"stop and start of the whole cluster"}, names(pointNominate))
	assert.Equal(t, []string{"power loss of the primary, its best standby starved"}, names(pointAside))
	assert.Equal(t, names(pointAside), names(pointBoth))
	assert.Equal(t, []string{"power loss of the primary, a standby out of service"}, names(pointHold))
	assert.Equal(t, []string{"power loss of the primary, and of the next one, which nobody can follow"}, names(pointSkipped))
}
