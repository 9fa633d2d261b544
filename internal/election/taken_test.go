package election

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"pgsqlms/internal/wal"
)

func TestTakenAreAllTimelinesThatAnybodyMayHaveBegun(t *testing.T) {
	on := func(node string, timeline wal.Timeline) Vote {
		return Vote{Node: node, Position: wal.Position{Timeline: timeline, LSN: 500}, History: wal.History{Timeline: timeline}}
	}
	attempt := func(node string) Attempt { return Attempt{Rule: Rule{Primary: node}} }
	recorded := func(timeline wal.Timeline, next ...Attempt) *Record {
		return &Record{History: wal.History{Timeline: timeline}, Next: next}
	}
	me := on("n1", 4)
	assert.EqualValues(t, 4, Taken(me, nil, nil))
	assert.EqualValues(t, 4, Taken(me, nil, recorded(4)))
	assert.EqualValues(t, 5, Taken(me, nil, recorded(5)), "the record's is later")
	assert.EqualValues(t, 6, Taken(me, []Vote{on("n3", 6)}, recorded(4)), "somebody promoted by hand")
	assert.EqualValues(t, 5, Taken(me, nil, recorded(4, attempt("n2"))), "n2 was told to promote, and nothing is heard of it")
	assert.EqualValues(t, 4, Taken(me, []Vote{on("n2", 4)}, recorded(4, attempt("n2"))), "n2 did not come so far")
	assert.EqualValues(t, 4, Taken(me, nil, recorded(4, attempt("n1"))), "nor did this node")
	old, later := on("n2", 4), recorded(4, attempt("n2"))
	later.Serial, me.Serial = 2, 2
	assert.EqualValues(t, 5, Taken(me, []Vote{old}, later), "n2's vote was left over from before it was told to promote")
}
