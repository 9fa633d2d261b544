package agent

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"pgsqlms/internal/pg"
	"pgsqlms/internal/wal"
)

// The primary's timeline begins at 500. A diverged standby is sent the timeline before
// up to there, and reports what it wrote itself.
func TestStandbyThatDivergedIsNotReady(t *testing.T) {
	at := func(l wal.LSN) *wal.LSN { return &l }
	cases := map[string]struct {
		row   pg.Standby
		ready bool
	}{
		"streams the primary's timeline": {pg.Standby{State: "streaming", Sent: at(600), Write: at(600)}, true},
		"catches up on it":               {pg.Standby{State: "catchup", Sent: at(501), Write: at(400)}, true},
		"diverged on the one before":     {pg.Standby{State: "streaming", Sent: at(500), Write: at(900)}, false},
		"not sent anything":              {pg.Standby{State: "streaming", Write: at(900)}, false},
		"starting":                       {pg.Standby{State: "startup", Sent: at(600), Write: at(600)}, false},
		"a base backup":                  {pg.Standby{State: "backup"}, false},
	}
	for name, c := range cases {
		assert.Equal(t, c.ready, standby(c.row, 500).Ready, name)
	}
}

// What could be learned by half is not remembered: the next monitor would believe it.
func TestHalfOfWhatIsLearnedIsForgotten(t *testing.T) {
	a, cluster := newTestAgent(map[string]string{})
	cluster.failing = errors.New("could not connect to the cluster")
	before := memory{Nodes: []string{"b", "c"}, Scores: map[string]int{"b": 1001, "c": 1000}, Ready: []string{"c"}}
	m := before
	_, err := a.giveScores(t.Context(), &m, "b", pg.Status{}, wal.History{Timeline: 2})
	assert.ErrorContains(t, err, "could not connect")
	assert.Equal(t, before, m)
}

// What an attribute manager that does not answer keeps is taken back by a later monitor.
func TestVotesAreTakenBackUntilTheyAreGone(t *testing.T) {
	a, cluster := newTestAgent(map[string]string{})
	cluster.failing = errors.New("could not connect to attrd")
	m := memory{Published: true, Nodes: []string{"b", "c"}}
	a.takeBack(t.Context(), &m)
	assert.True(t, m.Published, "still to be taken back")
	cluster.failing = nil
	cluster.private["c lsn_location-pgsqld"] = "2#500"
	a.takeBack(t.Context(), &m)
	assert.False(t, m.Published)
	assert.Empty(t, cluster.private)
}

// Two standbys that pass each other again and again, while the primary is asked every second. Who cannot be promoted any more
// loses its score at once, all the same.
func TestTheOrderOfTheStandbysIsKeptForAWhile(t *testing.T) {
	inBubble(func(t *testing.T) {
		a, _ := newTestAgent(nil)
		m := memory{Scores: map[string]int{"a": 1001, "b": 1000, "c": 990}}
		swapped := map[string]int{"a": 1001, "b": 990, "c": 1000}
		give := func(wanted map[string]int) map[string]int {
			m.Scores = a.keepOrder(&m, wanted)
			return m.Scores
		}
		first := map[string]int{"a": 1001, "b": 1000, "c": 990}
		assert.Equal(t, swapped, give(swapped), "the first time")
		assert.Equal(t, swapped, give(first))
		lost := map[string]int{"a": 1001, "b": 1000, "c": -1000}
		assert.Equal(t, lost, give(lost))
		assert.Equal(t, first, give(first))
		time.Sleep(settled.span)
		assert.Equal(t, swapped, give(swapped))
		assert.Equal(t, map[string]int{"a": 1001}, give(map[string]int{"a": 1001}))
	})(t)
}
