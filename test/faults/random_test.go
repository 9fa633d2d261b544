package faults

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestAPlanHangsOnItsSeedAlone(t *testing.T) {
	different := 0
	for seed := range uint64(200) {
		assert.Equal(t, Draw(seed), Draw(seed))
		if Draw(seed).String() != Draw(seed+1).String() {
			different++
		}
	}
	assert.Greater(t, different, 190)
}

// The plan of a seed must not change by accident: somebody may want to play a failure of last month again. When it
// changes on purpose, this changes with it.
func TestThePlanOfASeed(t *testing.T) {
	assert.Equal(t, "sync; reboot 3s, fencing 2s, 2 writers more; 0.0 s: kill-postmaster of the primary; "+
		"12.2 s: switchover of standby 1, for 32 s; 13.9 s: kill-backend of standby 1", Draw(7).String())
}

func TestEverythingIsDrawn(t *testing.T) {
	kinds, modes, steps := map[string]int{}, map[Mode]int{}, map[int]int{}
	for seed := range uint64(3000) {
		p := Draw(seed)
		modes[p.Mode]++
		steps[len(p.Steps)]++
		for i, s := range p.Steps {
			kinds[s.Kind]++
			if i > 0 {
				assert.GreaterOrEqual(t, s.At, p.Steps[i-1].At)
			}
		}
		assert.Less(t, p.length(), 2*time.Minute)
	}
	for _, d := range draws {
		assert.Positive(t, kinds[d.kind], d.kind)
	}
	assert.Len(t, kinds, len(draws))
	assert.Positive(t, modes[Sync])
	assert.Positive(t, modes[Async])
	assert.Len(t, steps, 3)
}

func TestDrawsStayInTheirBounds(t *testing.T) {
	byKind := map[string]draw{}
	for _, d := range draws {
		byKind[d.kind] = d
	}
	for seed := range uint64(2000) {
		for _, s := range Draw(seed).Steps {
			d := byKind[s.Kind]
			assert.Contains(t, d.targets, s.Target)
			assert.GreaterOrEqual(t, s.Length, time.Duration(d.length.from)*time.Second)
			assert.LessOrEqual(t, s.Length, time.Duration(d.length.to)*time.Second)
			assert.GreaterOrEqual(t, s.Amount, d.amount.from)
			assert.LessOrEqual(t, s.Amount, d.amount.to)
		}
	}
}
