package election

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"pgsqlms/internal/wal"
)

// n2 was the last one promoted, on timeline 5; then n3 was told to promote.
func claimed() *Record {
	return &Record{
		Node:    "n2",
		History: wal.History{Timeline: 5, Ancestors: []wal.Ancestor{{Timeline: 4, End: 400}}},
		Next: []Attempt{{
			Rule: Rule{Primary: "n3"}, At: wal.Position{Timeline: 5, LSN: 500},
			History: wal.History{Timeline: 5, Ancestors: []wal.Ancestor{{Timeline: 4, End: 400}}},
		}},
	}
}

func from(timeline, parent wal.Timeline, end wal.LSN) wal.History {
	return wal.History{Timeline: timeline, Ancestors: []wal.Ancestor{{Timeline: 4, End: 400}, {Timeline: parent, End: end}}}
}

func TestThePrimaryThatTheRecordKnows(t *testing.T) {
	r := claimed()
	assert.True(t, r.Claims("n2", r.History))
	assert.False(t, r.Claims("n1", r.History), "somebody else on its timeline")
	assert.True(t, r.Claims("n3", from(6, 5, 500)), "its promotion was begun")
	assert.False(t, r.Claims("n3", r.History), "and has not come so far")
	assert.False(t, r.Claims("n1", from(6, 5, 500)), "promoted by hand")
	r.Next[0].At.LSN += littleBefore
	assert.True(t, r.Claims("n3", from(6, 5, 500)), "the record at the end was not whole")
	assert.False(t, r.Claims("n3", from(6, 5, 499)), "nothing that long is one record")
	r.Next[0].At.LSN -= littleBefore
	assert.True(t, r.Claims("n3", from(6, 5, 510)), "it had received more by then")
	assert.False(t, r.Claims("n3", wal.History{Timeline: 6, Ancestors: []wal.Ancestor{{Timeline: 4, End: 390}}}), "left before the timeline from which it was told to promote")
	assert.False(t, (*Record)(nil).Claims("n2", r.History))
}

func TestACandidateFollowsTheRecordOrNot(t *testing.T) {
	r := claimed()
	r.Next = nil
	on := func(h wal.History, lsn wal.LSN) Vote {
		return Vote{Node: "n1", Position: wal.Position{Timeline: h.Timeline, LSN: lsn}, History: h}
	}
	assert.True(t, r.Follows(on(r.History, 900)))
	assert.False(t, r.Follows(on(wal.History{Timeline: 4}, 401)), "past the place where the timeline was left")
	assert.False(t, r.Follows(on(wal.History{Timeline: 6, Ancestors: []wal.Ancestor{{Timeline: 4, End: 390}}}, 900)), "a higher number, begun elsewhere")
	assert.True(t, (*Record)(nil).Follows(on(wal.History{Timeline: 4}, 401)))
}

// What the CIB has after a node came back with one of its own, what another node has seen
// before, and whether it is to be restored.
func TestALaterStateOfTheRecord(t *testing.T) {
	const before = "serial=7 timeline=5 node=n3 from=4@0/400,3@0/300 sync=n3:1:n1,n2"
	const begun = "serial=8 timeline=5 node=n3 from=4@0/400,3@0/300 sync=n3:1:n1,n2 next=n2:1:n1,n3:5@0/500,4@0/400,3@0/300"
	const done = "serial=9 timeline=6 node=n2 from=5@0/500,4@0/400,3@0/300 sync=n2:1:n1,n3"
	const later = "serial=13 timeline=8 node=n1 from=6@0/600,5@0/500,4@0/400,3@0/300 sync=n1:0"
	for _, c := range []struct {
		name, seen, found string
		want              bool
	}{
		{"a promotion was done", done, before, true},
		{"a promotion was begun", begun, before, true},
		{"two were done", later, before, true},
		{"it is the one", done, done, false},
		{"the CIB has the later one", before, done, false},
		{"only the rules differ", "serial=7 timeline=5 node=n3 from=4@0/400,3@0/300 sync=n3:0", before, false},
		{"it was deleted, and written anew", done, "serial=1 timeline=6 node=n2 from=5@0/500,4@0/400,3@0/300 sync=n2:0", false},
		{"deleted, and promoted by hand", done, "serial=1 timeline=7 node=n1 from=6@0/550,5@0/500,4@0/400,3@0/300 sync=n1:0", false},
		{"a recovery to a point in time", done, "serial=1 timeline=6 node=n2 from=4@0/390,3@0/300 sync=n2:0", false},
		{"the same number, begun elsewhere", done, "serial=2 timeline=5 node=n1 from=4@0/390,3@0/300 sync=n1:0", false},
	} {
		seen, err := ParseRecord(c.seen)
		require.NoError(t, err, c.name)
		found, err := ParseRecord(c.found)
		require.NoError(t, err, c.name)
		assert.Equal(t, c.want, seen.Supersedes(&found), c.name)
	}
	assert.False(t, (*Record)(nil).Supersedes(claimed()))
	assert.False(t, claimed().Supersedes(nil))
}

func TestTheHistoryOfTheRecordsTimeline(t *testing.T) {
	r := claimed()
	assert.True(t, r.IsOf(r.History))
	assert.False(t, r.IsOf(wal.History{Timeline: 5, Ancestors: []wal.Ancestor{{Timeline: 4, End: 401}}}), "the same number, begun elsewhere")
	assert.False(t, r.IsOf(from(6, 5, 500)))
}

func TestWhatHasLeftTheRecord(t *testing.T) {
	r, err := ParseRecord("serial=4 timeline=5 node=n2 from=4@0/5000060,2@0/4000028 sync=n2:0")
	require.NoError(t, err)
	for _, c := range []struct {
		timeline wal.Timeline
		lsn      wal.LSN
		left     wal.LSN // zero: it has not
	}{
		{5, 0x9000000, 0}, {4, 0x5000060, 0}, {4, 0x5000061, 0x5000060}, {2, 0x4000028, 0}, {2, 0x5000000, 0x4000028},
		{3, 0x9000000, 0}, {6, 0x9000000, 0}, // not known
	} {
		at, left := r.Left(wal.History{Timeline: c.timeline}, wal.Position{Timeline: c.timeline, LSN: c.lsn})
		assert.Equal(t, c.left != 0, left, "%v", c)
		assert.Equal(t, c.left, at.LSN, "%v", c)
	}
	_, left := (*Record)(nil).Left(wal.History{Timeline: 1}, wal.Position{Timeline: 1, LSN: 1})
	assert.False(t, left)
}

// A fork is told by its history, which the record does not have; what goes on from the record's own timeline may be
// the cluster's.
func TestForkHasLeftTheRecord(t *testing.T) {
	r, err := ParseRecord("serial=4 timeline=5 node=n2 from=4@0/5000060,2@0/4000028 sync=n2:0")
	require.NoError(t, err)
	for _, c := range []struct {
		history string
		of      wal.Timeline
		lsn     wal.LSN
		left    string // empty: it has not
	}{
		{"2\t0/3000000\n", 3, 0x3000001, "0/3000000 on timeline 2"},
		{"2\t0/3000000\n", 3, 0x3000000, ""},
		{"2\t0/4000028\n4\t0/5000000\n", 6, 0x5000028, "0/5000000 on timeline 4"},
		{"2\t0/4000028\n4\t0/5000060\n5\t0/6000000\n", 6, 0x9000000, ""},
		{"2\t0/4000028\n4\t0/6000000\n", 7, 0x6000028, "0/5000060 on timeline 4"},
	} {
		h, err := wal.ParseHistory(c.of, c.history)
		require.NoError(t, err)
		at, left := r.Left(h, wal.Position{Timeline: c.of, LSN: c.lsn})
		if assert.Equal(t, c.left != "", left, "%v", c) && left {
			assert.Equal(t, c.left, shown(at))
		}
	}
	r, err = ParseRecord("serial=5 timeline=5 node=n2 from=4@0/5000060,2@0/4000028 sync=n2:0 next=n3:0:5@0/7000000,4@0/5000060,2@0/4000028")
	require.NoError(t, err)
	_, left := r.Left(wal.History{Timeline: 4}, wal.Position{Timeline: 4, LSN: 0x6000000})
	assert.False(t, left, "a promotion is under way")
}
