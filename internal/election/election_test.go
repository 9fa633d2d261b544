package election

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"pgregory.net/rapid"

	"pgsqlms/internal/wal"
)

func names(s ...string) []string { return s }

// The lists are those Pacemaker 2.1.5 gave in each case; a is the old primary.
func TestClassify(t *testing.T) {
	all := names("b", "a", "c")
	others := names("b", "c")
	cases := map[string]struct {
		lists  Lists
		kind   Kind
		voters []string
	}{
		"recovery in place": {
			Lists{Active: all, Promoted: names("a"), Unpromoted: others, Demote: names("a"), Stop: names("a"), Start: names("a"), Promote: names("a")},
			Recovery, names("a", "b", "c"),
		},
		"failed primary comes back as a standby": {
			Lists{Active: all, Promoted: names("a"), Unpromoted: others, Demote: names("a"), Stop: names("a"), Start: names("a"), Promote: names("b")},
			Failover, names("b", "a", "c"),
		},
		"switchover": {
			Lists{Active: all, Promoted: names("a"), Unpromoted: others, Demote: names("a"), Promote: names("b")},
			Switchover, names("b", "a", "c"),
		},
		"old primary's node put in standby mode": {
			Lists{Active: all, Promoted: names("a"), Unpromoted: others, Demote: names("a"), Stop: names("a"), Promote: names("b")},
			Handover, names("b", "c"),
		},
		"old primary already gone": {
			Lists{Active: others, Unpromoted: others, Promote: names("b")},
			Failover, names("b", "c"),
		},
		"demote failed": {
			Lists{Active: all, Unpromoted: all, Stop: names("a"), Start: names("a"), Promote: names("a")},
			Failover, names("a", "b", "c"),
		},
		"demote failed, another one scores higher": {
			Lists{Active: all, Unpromoted: all, Stop: names("a"), Start: names("a"), Promote: names("b")},
			Failover, names("b", "a", "c"),
		},
		"demote failed, and the node is not to start it again": {
			Lists{Active: all, Unpromoted: all, Stop: names("a"), Promote: names("b")},
			Failover, names("b", "c"),
		},
		"promote failed": {
			Lists{Active: all, Promoted: names("a"), Unpromoted: others, Demote: names("a"), Stop: names("a"), Start: names("a"), Promote: names("b")},
			Failover, names("b", "a", "c"),
		},
		"cold start": {
			Lists{Start: all, Promote: names("a")},
			Failover, names("a", "b", "c"),
		},
		"a standby stops in the same transition": {
			Lists{Active: all, Promoted: names("a"), Unpromoted: others, Demote: names("a"), Stop: names("c"), Promote: names("b")},
			Switchover, names("b", "a"),
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got := Classify(c.lists)
			assert.Equal(t, c.kind, got.Kind, "kind is %s", got.Kind)
			assert.Equal(t, c.voters, got.Voters)
		})
	}
}

func TestElectKeepsTheCandidateOnATie(t *testing.T) {
	me := Vote{Node: "b", Position: wal.Position{Timeline: 2, LSN: 500}}
	same := Vote{Node: "a", Position: wal.Position{Timeline: 2, LSN: 500}}
	assert.Equal(t, me, Elect(me, []Vote{same}))
}

func TestElectPutsTimelineBeforeLSN(t *testing.T) {
	me := Vote{Node: "b", Position: wal.Position{Timeline: 2, LSN: 900}}
	newer := Vote{Node: "a", Position: wal.Position{Timeline: 3, LSN: 100}}
	assert.Equal(t, newer, Elect(me, []Vote{newer}))
}

func somePosition(t *rapid.T, label string) wal.Position {
	return wal.Position{
		Timeline: wal.Timeline(rapid.IntRange(1, 3).Draw(t, label+" timeline")),
		LSN:      wal.LSN(rapid.Uint64Range(0, 4).Draw(t, label+" lsn")),
	}
}

// The oracle asks, node by node, whether anybody has more.
func TestElectedHoldsTheMost(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		me := Vote{Node: "me", Position: somePosition(t, "me")}
		var others []Vote
		for i := range rapid.IntRange(0, 5).Draw(t, "others") {
			node := fmt.Sprintf("n%d", i)
			others = append(others, Vote{Node: node, Position: somePosition(t, node)})
		}
		winner := Elect(me, others)
		beaten := false
		for _, v := range append(others, me) {
			tl, at := v.Position.Timeline, v.Position.LSN
			won := winner.Position
			assert.False(t, tl > won.Timeline || (tl == won.Timeline && at > won.LSN), "%s holds more than %s", v.Node, winner.Node)
			if tl > me.Position.Timeline || (tl == me.Position.Timeline && at > me.Position.LSN) {
				beaten = true
			}
		}
		assert.Equal(t, beaten, winner.Node != "me")
	})
}

func TestCompareWithTheOldPrimary(t *testing.T) {
	at := func(tl, lsn int) wal.Position {
		return wal.Position{Timeline: wal.Timeline(tl), LSN: wal.LSN(lsn)}
	}
	assert.Equal(t, Complete, Compare(at(2, 500), at(2, 500)))
	assert.Equal(t, Incomplete, Compare(at(2, 499), at(2, 500)))
	assert.Equal(t, Unknown, Compare(at(3, 100), at(2, 500)), "published before the last promotion")
	assert.Equal(t, Incomplete, Compare(at(1, 900), at(2, 500)))
}

func situation(standbys ...Standby) Situation {
	return Situation{Primary: "n1", Current: 100 << 20, Nodes: names("n1", "n2", "n3"), Standbys: standbys}
}

func TestScoresFollowThePositions(t *testing.T) {
	ahead := Standby{Node: "n3", Ready: true, Written: 100 << 20}
	behind := Standby{Node: "n2", Ready: true, Written: 90 << 20}
	assert.Equal(t, map[string]int{"n1": 1001, "n3": 1000, "n2": 990}, Scores(situation(behind, ahead)))
	assert.Equal(t, map[string]int{"n1": 1001, "n3": 1000, "n2": -1000}, Scores(situation(ahead)))
}

func TestScoresKeepTheOrderOfThoseThatAreClose(t *testing.T) {
	s := situation(
		Standby{Node: "n2", Ready: true, Written: 100<<20 - 10},
		Standby{Node: "n3", Ready: true, Written: 100 << 20})
	s.Previous = map[string]int{"n2": 1000, "n3": 990}
	assert.Equal(t, map[string]int{"n1": 1001, "n2": 1000, "n3": 990}, Scores(s))
	s.Standbys[1].Sync = true
	assert.Equal(t, map[string]int{"n1": 1001, "n2": 990, "n3": 1000}, Scores(s), "synchronous first")
}

func TestScoresOfThoseThatMayNotBePromoted(t *testing.T) {
	s := situation(
		Standby{Node: "n2", Written: 100 << 20},
		Standby{Node: "n3", Ready: true, Written: 90 << 20})
	s.MaxLag = 5 << 20
	assert.Equal(t, map[string]int{"n1": 1001, "n2": -1, "n3": -1}, Scores(s))
}

func TestScoresGoToNodesOnly(t *testing.T) {
	for _, stranger := range []string{"n", "n22", "(", ".*", "", "n1"} {
		got := Scores(situation(Standby{Node: stranger, Ready: true, Written: 100 << 20}))
		assert.Equal(t, map[string]int{"n1": 1001, "n2": -1000, "n3": -1000}, got, "application_name %q", stranger)
	}
}

func TestScoresTakeTheBestOfTwoConnections(t *testing.T) {
	old, now := Standby{Node: "n2", Ready: true, Written: 90 << 20}, Standby{Node: "n2", Ready: true, Written: 100 << 20}
	other := Standby{Node: "n3", Ready: true, Written: 95 << 20}
	for _, s := range []Situation{situation(old, now, other), situation(now, old, other)} {
		assert.Equal(t, map[string]int{"n1": 1001, "n2": 1000, "n3": 990}, Scores(s))
	}
}

func TestScoresKeepVotersThatAreNotConnectedYet(t *testing.T) {
	s := situation(Standby{Node: "n2", Ready: true, Written: 90 << 20})
	s.Kept = []string{"n1", "n2", "n3", "gone"}
	assert.Equal(t, map[string]int{"n1": 1001, "n2": 1000, "n3": 990}, Scores(s))
	s.Standbys = nil
	s.Previous = map[string]int{"n1": 1001, "n3": 1000, "n2": 990}
	assert.Equal(t, s.Previous, Scores(s), "after a recovery in place nothing changes")
	s.Previous["n2"] = -1000
	assert.Equal(t, map[string]int{"n1": 1001, "n3": 1000, "n2": -1000}, Scores(s), "nothing to keep")
}

func TestBanStaysUntilTheStandbyStreams(t *testing.T) {
	s := situation()
	s.Previous = map[string]int{"n2": ScoreBanned}
	s.Kept = []string{"n2", "n3"}
	assert.Equal(t, map[string]int{"n1": 1001, "n2": ScoreBanned, "n3": 1000}, Scores(s))
	s.Standbys = []Standby{{Node: "n2", Written: 100 << 20}}
	assert.Equal(t, ScoreBanned, Scores(s)["n2"], "connected, not ready")
	s.Standbys[0].Ready = true
	assert.Equal(t, 1000, Scores(s)["n2"])
}
