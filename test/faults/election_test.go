package faults

import (
	"testing"

	"github.com/stretchr/testify/assert"
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
