package agent

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"

	"pgsqlms/internal/pg"
	"pgsqlms/internal/wal"
)

// Where the primary is one of other data the record, which knows numbers and places only, is not asked: this standby has
// not left a history that it never had.
func TestAServerOfOtherDataIsNoPrimaryToCompareWith(t *testing.T) {
	assert.True(t, compared(pg.Upstream{Refusal: "database system identifier differs", Foreign: true}, nil))
	assert.False(t, compared(pg.Upstream{Refusal: "no pg_hba.conf entry"}, nil))
	assert.False(t, compared(pg.Upstream{History: wal.History{Timeline: 1}}, errors.New("no answer in time")))
	assert.True(t, compared(pg.Upstream{History: wal.History{Timeline: 1}}, nil))
}

// A standby that is told of a divergence is stopped, and is cloned anew. An old primary that nobody has stopped yet, and
// one that was promoted by hand, say so to every standby that follows the cluster's primary.
func TestWhoIsBelievedThatAStandbyHasDiverged(t *testing.T) {
	on := func(t wal.Timeline, ancestors ...wal.Ancestor) pg.Upstream {
		return pg.Upstream{
			Timeline: t, History: wal.History{Timeline: t, Ancestors: ancestors},
			Divergence: &pg.Divergence{Left: wal.Position{Timeline: 1, LSN: 0x100}, Bytes: 96},
		}
	}
	first, second := wal.Ancestor{Timeline: 1, End: 0x200}, wal.Ancestor{Timeline: 2, End: 0x300}
	tooSoon := wal.Ancestor{Timeline: 2, End: 0x280}
	primary := on(3, first, second)
	behind, pending, well := primary, primary, primary
	behind.Behind = true
	pending.Divergence = &pg.Divergence{Bytes: 96, Pending: true}
	well.Divergence = nil

	const record = "serial=4 timeline=3 node=a from=2@0/300,1@0/200 sync=a:0"
	const begun = "serial=4 timeline=2 node=c from=1@0/200 sync=c:0 next=a:0:2@0/300,1@0/200"
	cases := map[string]struct {
		record   string
		up       pg.Upstream
		promoted []string
		believed bool
	}{
		"the record's primary":                   {record, primary, nil, true},
		"nothing is the matter":                  {record, well, nil, false},
		"received, and not replayed yet":         {record, pending, nil, false},
		"an old primary":                         {record, on(2, first), nil, false},
		"promoted by hand, to the same number":   {record, on(3, first, tooSoon), nil, false},
		"promoted by hand, to a higher one":      {record, on(4, first, tooSoon), []string{"a"}, false},
		"its promotion is begun":                 {begun, primary, nil, false},
		"its promotion is begun, and it is up":   {begun, primary, []string{"a"}, true},
		"the promotion of another one is begun":  {begun, primary, []string{"c"}, false},
		"without a record":                       {"", primary, nil, true},
		"without a record, one that is behind":   {"", behind, nil, false},
		"with a record that is not to be read":   {"rubbish", primary, nil, false},
		"without a record, not replayed yet":     {"", pending, nil, false},
		"the record's primary, that is set back": {record, behind, nil, true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			a, cluster := newTestAgent(nil)
			a.store = newStore(t.TempDir(), "pgsqld")
			cluster.property = c.record
			assert.Equal(t, c.believed, a.hasDiverged(t.Context(), c.up, c.promoted...))
		})
	}
}
