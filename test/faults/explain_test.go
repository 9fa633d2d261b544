package faults

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

var three = []string{"n1", "n2", "n3"}

// step is one of a kind at a moment at which n1 is the primary.
func step(kind, node string) done { return stepAt(kind, node, "n1") }

func stepAt(kind, node, primary string) done {
	s := done{Step: Step{Kind: kind, Target: FirstStandby, Length: 10 * time.Second}, Node: node, Primary: primary}
	switch {
	case kind == stepBlackout:
		s.Target = AllNodes
	case node == primary:
		s.Target = ThePrimary
	}
	return s
}

func allowed(steps ...done) Allowance {
	p := Plan{Mode: Sync}
	for _, s := range steps {
		p.Steps = append(p.Steps, s.Step)
	}
	return p.allowance(three, steps)
}

// noted leaves those that are not zero.
func noted(m map[string]int) map[string]int {
	out := map[string]int{}
	for node, n := range m {
		if n > 0 {
			out[node] = n
		}
	}
	return out
}

func TestEveryKindHasAnEffect(t *testing.T) {
	for _, d := range draws {
		assert.Contains(t, effects, d.kind)
	}
	assert.Len(t, effects, len(draws))
}

// What is done to one node explains nothing about another, and a standby's loss explains no promotion.
func TestAllowanceOfOneStep(t *testing.T) {
	type want struct {
		promotions       int
		starts, fencings map[string]int
		diverging, mute  []string
	}
	none := map[string]int{}
	for _, c := range []struct {
		step done
		want want
	}{
		{step(stepKillPostgres, "n1"), want{1, each(1, "n1"), none, []string{"n1"}, nil}},
		{step(stepKillPostgres, "n2"), want{0, each(1, "n2"), none, nil, nil}},
		{step(stepStopPostmaster, "n3"), want{0, each(1, "n3"), none, nil, nil}},
		{step(stepKillBackend, "n1"), want{0, none, none, nil, nil}},
		{step(stepNoCheckpoint, "n1"), want{0, none, none, nil, nil}},
		{step(stepUseUpSlots, "n1"), want{0, none, none, nil, nil}},
		{step(stepWriteWAL, "n1"), want{0, none, none, nil, nil}},
		{step(stepFencingFails, "n1"), want{0, none, none, nil, nil}},
		{step(stepCutReplication, "n2"), want{0, none, none, nil, nil}},
		{step(stepPauseReplay, "n2"), want{0, none, none, nil, nil}},
		{step(stepRestart, "n2"), want{0, each(2, "n2"), none, nil, nil}},
		{step(stepPowerLoss, "n1"), want{1, each(1, "n1"), each(1, "n1"), []string{"n1"}, []string{"n1"}}},
		{step(stepPowerLoss, "n2"), want{0, each(1, "n2"), each(1, "n2"), nil, []string{"n2"}}},
		{step(stepFreeze, "n2"), want{0, each(2, "n2"), each(1, "n2"), nil, []string{"n2"}}},
		{step(stepCut, "n1"), want{1, each(2, "n1"), each(1, "n1"), []string{"n1"}, nil}},
		{step(stepSilentCut, "n3"), want{0, each(2, "n3"), each(1, "n3"), nil, nil}},
		{step(stepStopCluster, "n2"), want{0, each(1, "n2"), none, nil, nil}},
		{step(stepStopCluster, "n1"), want{1, each(2, "n1"), none, nil, nil}},
		{step(stepStandbyMode, "n3"), want{0, each(1, "n3"), none, nil, nil}},
		{step(stepStandbyMode, "n1"), want{1, each(2, "n1"), none, nil, nil}},
		{step(stepSwitchover, "n2"), want{1, each(1, "n1"), none, nil, nil}},
		{step(stepKillAgent, "n2"), want{0, each(3, "n2"), each(3, "n2"), nil, []string{"n2"}}},
	} {
		a := allowed(c.step)
		got := want{a.Promotions.Max, noted(a.Starts), noted(a.Fencings), a.Diverging, a.Mute}
		assert.Equal(t, c.want, got, "%s of %s", c.step.Kind, c.step.Node)
		assert.Zero(t, a.Promotions.Min)
		assert.Equal(t, len(c.want.diverging) > 0, a.AsyncLoss, "%s of %s", c.step.Kind, c.step.Node)
		assert.False(t, a.Silent || a.TimedOut)
	}
	assert.Equal(t, each(1, "n2"), noted(allowed(step(stepKillBackend, "n2")).Recoveries))
	assert.Equal(t, each(1, "n2"), noted(allowed(step(stepKillPostgres, "n2")).Recoveries))
}

// What was done to a standby twice explains nothing about the primary.
func TestAllowanceOfAStandbysSteps(t *testing.T) {
	a := allowed(step(stepStopPostmaster, "n2"), step(stepPowerLoss, "n2"), step(stepKillPostgres, "n3"), step(stepPauseReplay, "n3"))
	assert.Zero(t, a.Promotions.Max)
	assert.Equal(t, map[string]int{"n2": 2, "n3": 1}, noted(a.Starts))
	assert.Equal(t, each(1, "n2"), noted(a.Fencings))
	assert.Empty(t, a.Diverging)
	assert.False(t, a.AsyncLoss)
}

// The second step meets a cluster whose promoted role moves: the standby that it kills may be the primary by then.
func TestAllowanceOfStepsThatMeet(t *testing.T) {
	a := allowed(step(stepPowerLoss, "n1"), step(stepKillPostgres, "n2"))
	assert.Equal(t, 4, a.Promotions.Max)
	assert.Equal(t, map[string]int{"n1": 3, "n2": 3, "n3": 2}, noted(a.Starts), "a candidate that is refused is started again")
	assert.Equal(t, each(1, "n1"), noted(a.Fencings), "nobody else's node is touched")
	assert.Equal(t, []string{"n1", "n2"}, a.Diverging)
	assert.Equal(t, []string{"n1"}, a.Mute)

	a = allowed(step(stepPowerLoss, "n1"), step(stepPauseReplay, "n2"))
	assert.Equal(t, 1, a.Promotions.Max, "a step that has nothing to do with it widens nothing")
	assert.Equal(t, each(1, "n1"), noted(a.Starts))

	a = allowed(step(stepSwitchover, "n2"), stepAt(stepKillPostgres, "n2", "n2"))
	assert.Contains(t, a.Diverging, "n2", "the primary of that moment")
	assert.NotContains(t, a.Diverging, "n3")
}

// Without two nodes the primary has no quorum: it is demoted, though nothing was done to it.
func TestAllowanceOfALostQuorum(t *testing.T) {
	a := allowed(step(stepCut, "n2"), step(stepPowerLoss, "n3"))
	assert.Positive(t, a.Promotions.Max)
	assert.GreaterOrEqual(t, a.Starts["n1"], 1)
	assert.Contains(t, a.Diverging, "n1")
	assert.Zero(t, allowed(step(stepCut, "n2"), step(stepPowerLoss, "n2")).Promotions.Max, "one node twice is one node")
	assert.Zero(t, allowed(step(stepStandbyMode, "n2"), step(stepPowerLoss, "n3")).Promotions.Max, "who is out of service still votes")
}

func TestAllowanceOfABlackout(t *testing.T) {
	a := allowed(step(stepBlackout, "n1"))
	assert.Positive(t, a.Promotions.Max)
	assert.Equal(t, three, a.Mute)
	assert.GreaterOrEqual(t, a.Fencings["n3"], 1)
}

// A plan that was not carried out to its end allows what was done of it.
func TestAllowanceOfNothing(t *testing.T) {
	a := Draw(7).allowance(three, nil)
	assert.Zero(t, a.Promotions.Max)
	assert.Empty(t, noted(a.Starts))
	assert.Empty(t, noted(a.Fencings))
	assert.Positive(t, a.Serve)
}

func TestTarget(t *testing.T) {
	assert.Equal(t, "n2", target(three, "n2", ThePrimary))
	assert.Equal(t, "n1", target(three, "n2", FirstStandby))
	assert.Equal(t, "n3", target(three, "n2", SecondStandby))
	assert.Equal(t, []string{"n1", "n2", "n3"}, three)
}
