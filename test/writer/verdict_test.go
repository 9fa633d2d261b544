package writer

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"pgregory.net/rapid"
)

func ids(list ...int64) map[int64]struct{} {
	set := map[int64]struct{}{}
	for _, id := range list {
		set[id] = struct{}{}
	}
	return set
}

func TestJudge(t *testing.T) {
	for _, c := range []struct {
		name    string
		answers string
		stored  map[int64]struct{}
		want    Verdict
	}{
		{"nothing", "", ids(), Verdict{}},
		{"all there", "aaa", ids(1, 2, 3), Verdict{Acknowledged: 3}},
		{"others' rows do not matter", "aaa", ids(1, 2, 3, 99), Verdict{Acknowledged: 3}},
		{"one lost", "aaa", ids(1, 3), Verdict{Acknowledged: 3, Lost: []int64{2}}},
		{"in doubt either way", "a??a", ids(1, 2, 4), Verdict{Acknowledged: 2, InDoubt: 2, DoubtStored: 1}},
		{"refused", "a--a", ids(1, 4), Verdict{Acknowledged: 2, Refused: 2}},
		{"refused, and yet there", "a-", ids(1, 2), Verdict{Acknowledged: 1, Refused: 1, Phantom: []int64{2}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			assert.Equal(t, c.want, Judge(history(c.answers), c.stored))
		})
	}
}

func TestJudgeAgainstADumbOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := anyHistory(t)
		stored := ids(rapid.SliceOf(rapid.Int64Range(1, 40)).Draw(t, "stored")...)
		v := Judge(h, stored)
		assert.Equal(t, len(h.Attempts), v.Acknowledged+v.InDoubt+v.Refused)
		for _, a := range h.Attempts {
			_, there := stored[a.ID]
			assert.Equal(t, a.Kind == Acknowledged && !there, slices.Contains(v.Lost, a.ID))
			assert.Equal(t, a.Kind == Refused && there, slices.Contains(v.Phantom, a.ID))
		}
	})
}
