package faults

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"pgsqlms/test/lab"
	"pgsqlms/test/writer"
)

// good is the evidence of a failover from n1 to n2 that went as it should: n1 fenced, n2 promoted after n3 had voted, all
// rows there.
func good() (Evidence, Allowance) {
	epoch := noon("12:00:00.000")
	h := writer.History{Epoch: epoch}
	add := func(id int64, from, to int, node string) {
		h.Attempts = append(h.Attempts, writer.Attempt{ID: id, Writer: "vip", Sent: ms(from), Answered: ms(to), Kind: writer.Acknowledged, Node: node})
	}
	add(1, 0, 10, "n1")
	add(2, 1000, 1010, "n1")
	h.Attempts = append(h.Attempts, writer.Attempt{ID: 3, Writer: "vip", Sent: ms(2000), Answered: ms(2300), Kind: writer.InDoubt})
	h.Attempts = append(h.Attempts, writer.Attempt{ID: 4, Writer: "vip", Sent: ms(3000), Answered: ms(3300), Kind: writer.Refused})
	add(5, 6000, 6010, "n2")
	add(6, 7000, 7010, "n2")
	e := Evidence{
		Mode: Sync, Fault: noon("12:00:01.500"), Before: "n1", After: "n2", VIP: h, All: h,
		Stored: map[int64]struct{}{1: {}, 2: {}, 3: {}, 5: {}, 6: {}},
		Logs: map[string]NodeLog{
			"n1": {Starts: []time.Time{noon("12:00:10.000")}, Crashed: []time.Time{noon("12:00:10.000")}},
			"n2": {Promotions: []Promotion{{At: noon("12:00:05.000"), Timeline: 2}},
				Votes: []Vote{{At: noon("12:00:04.900"), Candidate: true, Position: position(1, "0/5000")}}},
			"n3": {Votes: []Vote{{At: noon("12:00:04.800"), Position: position(1, "0/5000")}}},
		},
		Fencings: []lab.Fencing{{Asked: noon("12:00:03.000"), Answered: noon("12:00:04.000"), Victim: "n1", By: "n3"}},
		Copies:   []Copy{{Node: "n2", Rows: 5, Sum: "x", History: "h"}, {Node: "n3", Rows: 5, Sum: "x", History: "h"}},
		Whole:    10 * time.Second,
	}
	a := Allowance{
		AsyncLoss: true, Promotions: Exactly(1), Starts: each(1, "n1"), Fencings: each(1, "n1"), FencedFirst: "n1",
		Serve: 10 * time.Second, Whole: 20 * time.Second,
	}
	return e, a
}

func ms(n int) time.Duration { return time.Duration(n) * time.Millisecond }

func breachesOf(e Evidence, a Allowance) []Breach {
	var all []Breach
	for _, f := range Check(e, a) {
		all = append(all, f.Breaches...)
	}
	return all
}

func TestAGoodFailover(t *testing.T) {
	e, a := good()
	findings := Check(e, a)
	require.Len(t, findings, len(Invariants))
	figures := map[Invariant]string{}
	for _, f := range findings {
		assert.Empty(t, f.Breaches)
		figures[f.Invariant] = f.Figure
	}
	assert.Equal(t, map[Invariant]string{
		I1: "0 lost of 4, 1 in doubt", I2: "0 overlapping", I3: "1 elections", I4: "2 alike, 0 diverged", I5: "all streamed",
		I6: "gap 5.0 of 10 s, whole 10.0 of 20 s", I7: "1 timelines, starts n1:1, fencings n1:1", I8: "0 failed actions",
	}, figures)
}

// Each case changes one thing of a good failover, and one breach must come of it.
func TestBreaches(t *testing.T) {
	log := func(e *Evidence, node string, change func(*NodeLog)) {
		n := e.Logs[node]
		change(&n)
		e.Logs[node] = n
	}
	for _, c := range []struct {
		name   string
		change func(*Evidence, *Allowance)
		breach Invariant
		says   string
	}{
		{"an acknowledged row is gone", func(e *Evidence, _ *Allowance) { delete(e.Stored, 2) }, I1, "1 of 4 acknowledged rows are lost: 2"},
		{"and with asynchronous replication, where nothing explains it", func(e *Evidence, a *Allowance) {
			delete(e.Stored, 2)
			e.Mode, a.AsyncLoss = Async, false
		}, I1, "are lost"},
		{"and one that the new primary itself has acknowledged", func(e *Evidence, _ *Allowance) {
			delete(e.Stored, 2)
			delete(e.Stored, 6)
			e.Mode = Async
		}, I1, "1 rows are lost that n2 has acknowledged since it is the primary, which no failover explains: 6"},
		{"a refused row is there", func(e *Evidence, _ *Allowance) { e.Stored[4] = struct{}{} }, I1, "1 refused rows are in the table: 4"},
		{"nobody knows what is there", func(e *Evidence, _ *Allowance) { e.Stored = nil }, I1, "could not be read"},
		{"the old primary acknowledges late", func(e *Evidence, _ *Allowance) {
			e.All.Attempts = append(e.All.Attempts, writer.Attempt{ID: 5, Sent: ms(2000), Answered: ms(6005), Kind: writer.Acknowledged, Node: "n1"})
		}, I2, "overlap"},
		{"the old primary takes turns with the new one", func(e *Evidence, _ *Allowance) {
			e.All.Attempts = append(e.All.Attempts, writer.Attempt{ID: 5, Sent: ms(6500), Answered: ms(6501), Kind: writer.Acknowledged, Node: "n1"})
		}, I2, "without a promotion: n1 1 times, promoted 0, n2 2 times, promoted 1; in turn"},
		{"a node acknowledges while another is promoted", func(e *Evidence, _ *Allowance) {
			n := e.Logs["n2"]
			e.Logs["n3"] = NodeLog{Promotions: n.Promotions}
			e.Logs["n2"] = NodeLog{}
		}, I2, "without a promotion: n2 1 times, promoted 0"},
		{"promoted before the fencing", func(e *Evidence, _ *Allowance) { e.Fencings[0].Answered = noon("12:00:05.001") }, I2, "before n1 was fenced (12:00:05.001)"},
		{"promoted without fencing", func(e *Evidence, _ *Allowance) { e.Fencings = nil }, I2, "before n1 was fenced (never)"},
		{"a voter held more", func(e *Evidence, _ *Allowance) {
			log(e, "n3", func(n *NodeLog) { n.Votes[0].Position = position(1, "0/5001") })
		}, I3, "n3 had voted with 0/5001"},
		{"a voter was on a later timeline", func(e *Evidence, _ *Allowance) {
			log(e, "n3", func(n *NodeLog) { n.Votes[0].Position = position(2, "0/1") })
		}, I3, "on timeline 2"},
		{"a voter that was no primary held more than the promotion before", func(e *Evidence, a *Allowance) {
			a.Promotions.Max++
			log(e, "n1", func(n *NodeLog) {
				n.Votes = []Vote{{At: noon("12:00:04.700"), Candidate: true, Position: position(1, "0/5000")}}
				n.Promotions = []Promotion{{At: noon("12:00:04.710"), Timeline: 2}}
			})
			log(e, "n3", func(n *NodeLog) { n.Votes[0] = Vote{At: noon("12:00:04.950"), Position: position(1, "0/5001")} })
		}, I3, "n3 had voted with 0/5001"},
		{"a forked node is promoted", func(_ *Evidence, a *Allowance) { a.Forked = []string{"n2"} }, I3, "not the cluster's"},
		{"a standby holds something else", func(e *Evidence, _ *Allowance) { e.Copies[1].Sum = "y" }, I4, "n3 streams from n2 and holds something else"},
		{"a standby has another history", func(e *Evidence, _ *Allowance) { e.Copies[1].History = "g" }, I4, "histories"},
		{"a diverged node may win", func(e *Evidence, a *Allowance) {
			e.Diverged, a.Diverging = []Divergence{{Node: "n1", Said: "forked", Score: "990", Shown: "x"}}, []string{"n1"}
		}, I4, "score is 990"},
		{"a diverged node is not shown", func(e *Evidence, a *Allowance) {
			e.Diverged, a.Diverging = []Divergence{{Node: "n1", Said: "forked", Score: "-1000"}}, []string{"n1"}
		}, I4, "n1 has diverged (forked), and nothing in the cluster's status"},
		{"a diverged node goes on serving", func(e *Evidence, a *Allowance) {
			e.Diverged, a.Diverging = []Divergence{{Node: "n1", Said: "forked", Score: "-1000", Shown: "x", Serves: true}}, []string{"n1"}
		}, I4, "n1 has diverged and still serves (forked)"},
		{"a half segment that nothing shows", func(e *Evidence, _ *Allowance) {
			e.Diverged = []Divergence{{Node: "n3", Said: halfSaid}}
		}, I4, "n3 cannot start on a half received segment"},
		{"a node on a half segment may win", func(e *Evidence, _ *Allowance) {
			e.Diverged = []Divergence{{Node: "n3", Said: halfSaid, Score: "1000", Shown: "pgsqld_start_0 on n3: error"}}
		}, I4, "score is 1000"},
		{"a standby that could not be compared", func(e *Evidence, _ *Allowance) {
			e.Copies, e.Unread = e.Copies[:1], []string{"n3: refused"}
		}, I4, "not all nodes could be compared: n3: refused"},
		{"a node diverged for no reason", func(e *Evidence, _ *Allowance) {
			e.Diverged = []Divergence{{Node: "n3", Said: "forked", Score: "-1000", Shown: "x"}}
		}, I5, "n3 cannot follow"},
		{"a node does not come back", func(e *Evidence, _ *Allowance) { e.WholeErr = "n1: power" }, I5, "n1: power"},
		{"nobody can write for too long", func(_ *Evidence, a *Allowance) { a.Serve = 4 * time.Second }, I6, "for 5.0 s, more than 4 s"},
		{"nobody writes any more", func(e *Evidence, _ *Allowance) { e.VIP.Attempts = e.VIP.Attempts[:4] }, I6, "any more"},
		{"all stream, but late", func(e *Evidence, _ *Allowance) { e.Whole = 21 * time.Second }, I6, "after 21.0 s"},
		{"two promotions", func(e *Evidence, _ *Allowance) {
			log(e, "n2", func(n *NodeLog) {
				n.Promotions = append(n.Promotions, Promotion{At: noon("12:00:08.000"), Timeline: 3})
			})
		}, I7, "2 promotions, expected 1"},
		{"no promotion", func(e *Evidence, a *Allowance) { a.Promotions = Exactly(2) }, I7, "1 promotions, expected 2"},
		{"a start too many", func(e *Evidence, _ *Allowance) {
			log(e, "n3", func(n *NodeLog) { n.Starts = []time.Time{noon("12:00:07.000")} })
		}, I7, "n3 was started 1 times, not at all"},
		{"two crash recoveries", func(e *Evidence, a *Allowance) {
			a.Recoveries = each(1, "n1")
			log(e, "n1", func(n *NodeLog) { n.Crashed = append(n.Crashed, noon("12:00:12.000")) })
		}, I7, "crash recovery 2 times"},
		{"a fencing too many", func(e *Evidence, _ *Allowance) {
			e.Fencings = append(e.Fencings, lab.Fencing{Victim: "n3", Answered: noon("12:00:09.000")})
		}, I7, "n3 was fenced 1 times, not at all"},
		{"an action without a reason", func(e *Evidence, _ *Allowance) {
			log(e, "n3", func(n *NodeLog) { n.Failures = []Failure{{Node: "n3", Operation: "stop", Status: "error"}} })
		}, I8, "stop on n3: error ()"},
		{"an action that somebody killed", func(e *Evidence, a *Allowance) {
			log(e, "n3", func(n *NodeLog) { n.Failures = []Failure{killed("n3")} })
			a.Mute = []string{"n1"}
		}, I8, "interrupted by Killed"},
		{"an action that Pacemaker ended on another node", func(e *Evidence, a *Allowance) {
			log(e, "n3", func(n *NodeLog) { n.Failures = []Failure{timedOut("n3")} })
			a.Mute = []string{"n1"}
		}, I8, "ended by Pacemaker"},
		{"an action that Pacemaker ended", func(e *Evidence, _ *Allowance) {
			log(e, "n3", func(n *NodeLog) {
				n.Failures = []Failure{{Node: "n3", Operation: "monitor", Status: "Timed Out after 10s", Reason: "Resource agent did not complete"}}
			})
		}, I8, "ended by Pacemaker"},
		{"an action that blames the configuration", func(e *Evidence, a *Allowance) {
			log(e, "n3", func(n *NodeLog) {
				n.Failures = []Failure{{Node: "n3", Operation: "start", Status: "not installed", Reason: "crm_node does not answer"}}
			})
			a.Mute, a.Silent, a.TimedOut = []string{"n3"}, true, true
		}, I8, "bans the node for good: start on n3: not installed (crm_node"},
		{"a refusal that did not come", func(_ *Evidence, a *Allowance) { a.Reasons = []string{"promote on n3: .*more WAL"} }, I8, "no failed action"},
		{"what the scenario found", func(e *Evidence, _ *Allowance) { e.Found = []Breach{breach(I3, "seen")} }, I3, "seen"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e, a := good()
			c.change(&e, &a)
			found := breachesOf(e, a)
			require.Len(t, found, 1, fmt.Sprint(found))
			assert.Equal(t, c.breach, found[0].Invariant)
			assert.Contains(t, found[0].Text, c.says)
		})
	}
}

const halfSaid = "WAL location 0/3AC1FD68 belongs to timeline 23, but previous recovered WAL file came from timeline 24"

func killed(node string) Failure {
	return Failure{Node: node, Operation: "stop", Status: "Error", Reason: "Resource agent interrupted by Killed signal"}
}

func timedOut(node string) Failure {
	return Failure{Node: node, Operation: "monitor", Status: "Timed Out after 10s", Reason: "Resource agent did not complete within 10s"}
}

// A node that could not be compared is told of, and is a breach only where nothing else is: a node that does not come
// back cannot be compared either.
func TestNotCompared(t *testing.T) {
	e, a := good()
	e.Copies, e.Unread, e.WholeErr = e.Copies[:1], []string{"n3: refused"}, "n3: no answer"
	found := breachesOf(e, a)
	require.Len(t, found, 1)
	assert.Equal(t, I5, found[0].Invariant)
	assert.Equal(t, "1 alike, 0 diverged, 1 not compared", Check(e, a)[3].Figure)
}

// A half received segment is a class of its own in the figures.
func TestFigureOfAHalfSegment(t *testing.T) {
	e, a := good()
	e.Diverged = []Divergence{{Node: "n3", Said: halfSaid, Shown: "pgsqld_start_0 on n3: error"}}
	findings := Check(e, a)
	assert.Equal(t, "2 alike, 0 diverged, 1 on half a segment", findings[3].Figure)
	assert.Equal(t, "1 rebuilt", findings[4].Figure)
}

func TestAllowRebuilding(t *testing.T) {
	a := Allowance{}
	a.allowRebuilding("n1")
	assert.Equal(t, Allowance{Starts: map[string]int{"n1": 1}}, a)
	a.Recoveries = map[string]int{}
	a.allowRebuilding("n1")
	assert.Equal(t, Allowance{Starts: map[string]int{"n1": 2}, Recoveries: map[string]int{"n1": 1}}, a)
}

// A switchover starts the old primary, after a clean shutdown: a crash recovery is another thing.
func TestASwitchoverCrashesNobody(t *testing.T) {
	e, _ := good()
	a := moving(1)
	a.Starts["n1"], a.Fencings = 1, each(1, "n1")
	found := breachesOf(e, a)
	require.Len(t, found, 1, fmt.Sprint(found))
	assert.Equal(t, "I7: PostgreSQL of n1 went through crash recovery 1 times, not at all", found[0].Error())
	n := e.Logs["n1"]
	n.Crashed = nil
	e.Logs["n1"] = n
	assert.Empty(t, breachesOf(e, a))
}

func TestFigureOfPacemakerStartedByHand(t *testing.T) {
	e, a := good()
	e.Started = 1
	require.Len(t, breachesOf(e, a), 1, "no node was frozen")
	e.Frozen = true
	require.Empty(t, breachesOf(e, a))
	assert.Equal(t, "all streamed, Pacemaker started by hand on 1", Check(e, a)[4].Figure)
}

// What is allowed is no breach.
func TestAllowed(t *testing.T) {
	for name, change := range map[string]func(*Evidence, *Allowance){
		"rows lost with asynchronous replication": func(e *Evidence, _ *Allowance) { delete(e.Stored, 2); e.Mode = Async },
		"rows of a primary before, that was one before that, too": func(e *Evidence, a *Allowance) {
			add := func(id int64, at int, node string) {
				e.All.Attempts = append(e.All.Attempts, writer.Attempt{ID: id, Sent: ms(at), Answered: ms(at + 1), Kind: writer.Acknowledged, Node: node})
			}
			add(7, 8000, "n1")
			add(8, 9000, "n2")
			e.Mode, e.Stored[8] = Async, struct{}{}
			delete(e.Stored, 6)
			a.Promotions = Exactly(3)
			n := e.Logs["n2"]
			n.Promotions = append(n.Promotions, Promotion{At: noon("12:00:08.900"), Timeline: 4})
			e.Logs["n2"] = n
			n = e.Logs["n1"]
			n.Promotions = append(n.Promotions, Promotion{At: noon("12:00:07.900"), Timeline: 3})
			e.Logs["n1"] = n
		},
		"rows of an old primary, when the new one has acknowledged nothing yet": func(e *Evidence, _ *Allowance) {
			e.Mode, e.All.Attempts = Async, e.All.Attempts[:4]
			delete(e.Stored, 2)
		},
		"a switchover back, and a primary that is promoted where it is": func(e *Evidence, a *Allowance) {
			e.All.Attempts = append(e.All.Attempts, writer.Attempt{ID: 2, Sent: ms(9000), Answered: ms(9001), Kind: writer.Acknowledged, Node: "n1"})
			log := e.Logs["n1"]
			log.Promotions = []Promotion{{At: noon("12:00:08.000"), Timeline: 3}, {At: noon("12:00:08.500"), Timeline: 4}}
			e.Logs["n1"], a.Promotions = log, Exactly(3)
		},
		"nobody ever acknowledges": func(e *Evidence, a *Allowance) {
			e.All.Attempts, e.VIP.Attempts, e.Ended = nil, nil, true
		},
		"a node that diverged, and is seen": func(e *Evidence, a *Allowance) {
			e.Diverged = []Divergence{{Node: "n1", Said: "forked", Score: "-1000", Shown: "x"}}
			a.Diverging = []string{"n1"}
		},
		"a standby that PostgreSQL cannot go on with": func(e *Evidence, _ *Allowance) {
			e.Diverged = []Divergence{{
				Node: "n3", Shown: "pgsqld_start_0 on n3: error", Said: halfSaid,
			}}
		},
		"actions that were killed where the scenario kills them": func(e *Evidence, a *Allowance) {
			n := e.Logs["n3"]
			n.Failures = []Failure{killed("n3"), timedOut("n3")}
			e.Logs["n3"], a.Mute = n, []string{"n3"}
		},
		"an attempt under way at the end": func(e *Evidence, _ *Allowance) { e.VIP.Attempts = e.VIP.Attempts[:3] },
		"a fencing that was refused": func(e *Evidence, _ *Allowance) {
			e.Fencings = append(e.Fencings, lab.Fencing{Victim: "n1", Error: "refused", Answered: noon("12:00:02.000")})
		},
		"a vote of the election before": func(e *Evidence, _ *Allowance) {
			n := e.Logs["n3"]
			n.Votes = append(n.Votes, Vote{At: noon("12:00:05.001"), Position: position(1, "0/9000")})
			e.Logs["n3"] = n
		},
		"the vote of who has what the promotion before had left behind": func(e *Evidence, a *Allowance) {
			a.Promotions.Max++
			e.Before = "n3"
			n := e.Logs["n3"]
			n.Votes = []Vote{{At: noon("12:00:04.950"), Position: position(1, "0/5001")}}
			n.Promotions = nil
			e.Logs["n3"] = n
			first := e.Logs["n1"]
			first.Votes = append(first.Votes, Vote{At: noon("12:00:04.700"), Candidate: true, Position: position(1, "0/5000")})
			first.Promotions = append(first.Promotions, Promotion{At: noon("12:00:04.710"), Timeline: 2})
			e.Logs["n1"] = first
		},
		"the vote of a forked node": func(e *Evidence, a *Allowance) {
			n := e.Logs["n3"]
			n.Votes[0].Position = position(7, "0/9000")
			a.Forked = []string{"n3"}
		},
		"the refusal that was wanted": func(e *Evidence, a *Allowance) {
			n := e.Logs["n3"]
			n.Failures = []Failure{{Node: "n3", Operation: "promote", Status: "error", Reason: "n2 holds more WAL"}}
			e.Logs["n3"] = n
			a.Reasons = []string{"promote on n3: .*more WAL"}
		},
		"nobody to ask what is stored, which other invariants are about": func(e *Evidence, _ *Allowance) { e.Stored, e.After = nil, "" },
		"a scenario that ended by a breach says nothing about what it did not wait for": func(e *Evidence, _ *Allowance) {
			e.Ended = true
			e.VIP.Attempts = e.VIP.Attempts[:4]
		},
	} {
		t.Run(name, func(t *testing.T) {
			e, a := good()
			change(&e, &a)
			assert.Empty(t, breachesOf(e, a))
		})
	}
}
