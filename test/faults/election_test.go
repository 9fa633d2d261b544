package faults

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"pgsqlms/test/lab"
)

// The fork must not win, whenever it comes, and nobody can fence before it is there where it comes last.
func TestAllowanceOfAFork(t *testing.T) {
	allowance := func(variant string) Allowance {
		p := &Play{Primary: "n1", Standbys: []string{"n2", "n3"}, Variant: variant}
		return p.forking("n2", "n3")
	}
	for _, variant := range forkedStandby().Variants {
		a := allowance(variant)
		assert.Equal(t, []string{"n2"}, a.Forked, variant)
		assert.Equal(t, "n1", a.FencedFirst, variant)
		assert.Equal(t, Exactly(1), a.Promotions, variant)
		assert.Equal(t, each(1, "n1"), a.Fencings, variant)
	}
	assert.Contains(t, forkedStandby().Variants, startedLate)
	assert.Greater(t, allowance(startedLate).Serve, allowance(oneAhead).Serve)
}

// A node that waits says for whom, and by that name.
func TestWhoIsAwaitedIsNamed(t *testing.T) {
	says := func(text string) lab.NodeStatus {
		return lab.NodeStatus{Attributes: map[string]string{"pgsqld-status": text}}
	}
	for _, c := range []struct {
		ask  asker
		said string
		took time.Duration
	}{
		{looks(says(""), says("waits for n1: n1 was the primary and is not in the partition")), "waits for n1: n1 was the primary and is not in the partition", 500 * time.Millisecond},
		{looks(says("waits for n2 or n1")), "waits for n2 or n1", 0},
		{looks(says("")), "", 20 * time.Second},
		{looks(says("does not stream: n10 refuses")), "", 20 * time.Second},
		{looks(lab.NodeStatus{}), "", 20 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			said, err := awaitNamed(t.Context(), 20*time.Second, c.ask, "n3", []string{"n1", "n2"})
			assert.Equal(t, c.took, time.Since(began))
			if c.said == "" {
				assert.Error(t, err)
				return
			}
			assert.NoError(t, err)
			assert.Equal(t, c.said, said)
		})
	}
}
