package election

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"pgsqlms/internal/wal"
)

func history(own wal.Timeline, ancestors ...wal.Ancestor) wal.History {
	return wal.History{Timeline: own, Ancestors: ancestors}
}

var five = history(5, wal.Ancestor{Timeline: 3, End: 0x4000028}, wal.Ancestor{Timeline: 4, End: 0x5000060})

func TestRecordText(t *testing.T) {
	r := Record{
		Serial: 17, Node: "n2", History: five,
		Sync: []Rule{{"n2", 1, names("n1", "a b", "")}, {"n1", 2, nil}}, Next: []Attempt{{Rule{"n3", 0, nil}, wal.Position{Timeline: 5, LSN: 0x7000000}, five}, {Rule{"n1", 1, names("n2")}, wal.Position{Timeline: 1, LSN: 1}, history(1)}},
	}
	const text = "serial=17 timeline=5 node=n2 from=4@0/5000060,3@0/4000028 sync=n2:1:n1,a%20b,% sync=n1:2 next=n3:0:5@0/7000000,4@0/5000060,3@0/4000028 next=n1:1:n2:1@0/1"
	assert.Equal(t, text, r.String())
	got, err := ParseRecord(text)
	require.NoError(t, err)
	assert.Equal(t, r, got)
	got, err = ParseRecord("node=n1 later=4:x!<y timeline=1 serial=0 newer=1")
	require.NoError(t, err, "labels may come in any order, and from a newer version")
	assert.Equal(t, Record{Node: "n1", History: history(1)}, got)
	for _, text := range []string{
		"", " ", "serial=1", "serial=1 timeline=5", "serial=1 node=n1", "timeline=5 node=n1", "serial=1 timeline=0 node=n1",
		"serial=1 timeline=5 node=", "serial=1  timeline=5 node=n1", "serial=1 timeline=5 node=n1 ", "serial=1 timeline=5 node=n1 x",
		"serial=01 timeline=5 node=n1", "serial=-1 timeline=5 node=n1", "serial=18446744073709551616 timeline=5 node=n1",
		"serial=1 timeline=5 node=n1 node=n2", "serial=1 serial=1 timeline=5 node=n1", "serial=1 timeline=5 node=n%1", "serial=1 timeline=5 node=n%31",
		"serial=1 timeline=5 node=n%2a", "serial=1 timeline=5 node=n 1", "serial=1 timeline=5 node=n'", "serial=1 timeline=5 node=\"n1\"",
		"serial=1 timeline=5 node=n1 from=", "serial=1 timeline=5 node=n1 from=4", "serial=1 timeline=5 node=n1 from=5@0/1",
		"serial=1 timeline=5 node=n1 from=3@0/1,4@0/2", "serial=1 timeline=5 node=n1 from=4@0/1,3@0/2", "serial=1 timeline=5 node=n1 from=4@0/1,",
		"serial=1 timeline=5 node=n1 from=4@0/1,4@0/1", "serial=1 timeline=5 node=n1 from=x@0/1", "serial=1 timeline=5 node=n1 from=4@1",
		"serial=1 timeline=5 node=n1 sync=1:n2", "serial=1 timeline=5 node=n1 sync=n1", "serial=1 timeline=5 node=n1 sync=n1:1:n2:n3",
		"serial=1 timeline=5 node=n1 sync=n1:x:n2", "serial=1 timeline=5 node=n1 sync=n1:-1:n2", "serial=1 timeline=5 node=n1 sync=n1:+1:n2",
		"serial=1 timeline=5 node=n1 sync=n1:0:n2", "serial=1 timeline=5 node=n1 sync=n1:1:n2,", "serial=1 timeline=5 node=n1 sync=n1:1:", "serial=1 timeline=5 node=n1 next=n1:1:n2,*:5@0/1",
		"serial=1 timeline=5 node=n1 next=n1:1:n2", "serial=1 timeline=5 node=n1 next=n1:0:", "serial=1 timeline=5 node=n1 next=n1:0:4@0/1,5@0/2", "serial=1 timeline=5 node=n1 next=x",
		"serial=1 timeline=5 node=n1 Upper=1", "serial=1 timeline=5 node=n1\n", "serial=1 timeline=5 node=n\x80", strings.Repeat("x=y ", 1000),
	} {
		_, err := ParseRecord(text)
		require.Error(t, err, text)
		require.Less(t, len(err.Error()), 300, text)
	}
}

func TestBallotText(t *testing.T) {
	v := Vote{Node: "n3", Position: wal.Position{Timeline: 5, LSN: 0x7000000}, History: five, Known: 0x7000F00, Serial: 17}
	const text = "serial=17 timeline=5 lsn=0/7000000 from=4@0/5000060,3@0/4000028 known=0/7000F00"
	assert.Equal(t, text, v.Ballot())
	got, err := ParseBallot("n3", text)
	require.NoError(t, err)
	assert.Equal(t, v, got)
	got, err = ParseBallot("n1", "serial=0 timeline=1 lsn=0/0 witness=yes other=2")
	require.NoError(t, err)
	assert.Equal(t, Vote{Node: "n1", Position: wal.Position{Timeline: 1}, History: history(1), Witness: true}, got)
	for _, text := range []string{
		"", "5#117440512", "serial=0 timeline=1", "serial=0 lsn=0/0", "timeline=1 lsn=0/0", "serial=0 timeline=1 lsn=0", "serial=0 timeline=1 lsn=0/0 lsn=0/0",
		"serial=0 timeline=1 lsn=0/0 known=x", "serial=0 timeline=1 lsn=0/0 witness=no", "serial=0 timeline=1 lsn=0/0 from=1@0/0",
	} {
		_, err := ParseBallot("n1", text)
		require.Error(t, err, text)
	}
}

func TestALongHistoryIsShortened(t *testing.T) {
	h := history(1)
	for range 40 {
		h = h.After(h.Timeline+1, wal.LSN(h.Timeline)<<24)
	}
	record := (*Record)(nil).Promoted("a-node-with-a-long-name-of-forty-letters", h, Rule{Need: 1, Of: names("n1", "n2")})
	assert.Len(t, record.History.Ancestors, MaxAncestors)
	assert.Less(t, len(record.String()), 512)
	assert.True(t, record.Describes(record.Node, h))
	v := Vote{Node: "n1", Position: wal.Position{Timeline: 41, LSN: 41 << 24}, History: h}
	read, err := ParseBallot("n1", v.Ballot())
	require.NoError(t, err)
	at, found := wal.Fork(read.History, h)
	assert.True(t, found && at.Timeline == 41)
}

var (
	oneOfThree = func(primary string) Rule { // ANY 1 (n1, n2, n3)
		r, err := RuleFor("ANY 1 (n1, n2, n3)", primary, names("n1", "n2", "n3"), nil)
		if err != nil {
			panic(err)
		}
		return r
	}
	async = Rule{}
)

func TestRecordOfAPromotion(t *testing.T) {
	first := (*Record)(nil).Promoted("n1", history(1), oneOfThree("n1"))
	assert.Equal(t, "serial=1 timeline=1 node=n1 sync=n1:1:n2,n3", first.String())
	assert.True(t, first.Describes("n1", history(1)))
	assert.False(t, first.Describes("n2", history(1)))
	assert.False(t, first.Describes("n1", five))
	assert.False(t, (*Record)(nil).Describes("n1", five))
	at := func(node string) Vote {
		return Vote{Node: node, Position: wal.Position{Timeline: 1, LSN: 0x3000000}, History: history(1)}
	}
	_, ok := (*Record)(nil).Promoting(at("n2"), oneOfThree("n2"))
	assert.False(t, ok)

	begun, ok := first.Promoting(at("n2"), oneOfThree("n2"))
	require.True(t, ok)
	assert.Equal(t, "serial=2 timeline=1 node=n1 sync=n1:1:n2,n3 next=n2:1:n1,n3:1@0/3000000", begun.String())
	assert.Empty(t, first.Next, "the older value is left as it was")
	again, _ := begun.Promoting(at("n3"), oneOfThree("n3"))
	assert.Equal(t, "serial=3 timeline=1 node=n1 sync=n1:1:n2,n3 next=n2:1:n1,n3:1@0/3000000 next=n3:1:n1,n2:1@0/3000000", again.String())
	done := again.Promoted("n3", history(2, wal.Ancestor{Timeline: 1, End: 0x3000000}), oneOfThree("n3"))
	assert.Equal(t, "serial=4 timeline=2 node=n3 from=1@0/3000000 sync=n3:1:n1,n2", done.String(), "the rules of before are covered")
}

func TestRecordKeepsTheRulesThatANewOneDoesNotMakeUpFor(t *testing.T) {
	before := (*Record)(nil).Promoted("n1", history(1), oneOfThree("n1"))
	two := history(2, wal.Ancestor{Timeline: 1, End: 0x3000000})
	cases := map[string]struct {
		rule Rule
		kept int
	}{
		"the same for everybody":  {oneOfThree("n2"), 0},
		"fewer standbys asked":    {Rule{Need: 1, Of: names("n3")}, 1},
		"another standby asked":   {Rule{Need: 1, Of: names("n1", "dr")}, 1},
		"more standbys asked":     {Rule{Need: 1, Of: names("n1", "n3", "n4")}, 0},
		"more of the same needed": {Rule{Need: 2, Of: names("n1", "n3")}, 1},
		"nobody asked":            {async, 0},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			assert.Len(t, before.Promoted("n2", two, c.rule).Sync, 1+c.kept)
		})
	}
	begun, _ := before.Promoting(Vote{Node: "n2"}, Rule{Need: 1, Of: names("n1", "dr")})
	after := begun.Promoted("n3", two, Rule{Need: 1, Of: names("n2", "dr")})
	assert.Equal(t, "n3 needs 1 of n2, dr; n2 needs 1 of n1, dr; n1 needs 1 of n2, n3", rulesText(after.Sync), "the newest first")
	begun, _ = begun.Promoting(Vote{Node: "n4"}, Rule{Need: 1, Of: names("dr", "n5")})
	after = begun.Promoted("n3", two, Rule{Need: 1, Of: names("n2", "dr")})
	assert.Equal(t, "n3 needs 1 of n2, dr; n4 needs 1 of dr, n5; n2 needs 1 of n1, dr; n1 needs 1 of n2, n3", rulesText(after.Sync))
}

func rulesText(rules []Rule) string {
	var texts []string
	for _, r := range rules {
		texts = append(texts, r.String())
	}
	return strings.Join(texts, "; ")
}

func TestRecordFollowsTheSetting(t *testing.T) {
	r := (*Record)(nil).Promoted("n1", history(1), Rule{Need: 1, Of: names("n2")})
	_, changed := r.Update(Rule{Primary: "n1", Need: 1, Of: names("N2")}, 0, nil)
	assert.False(t, changed)

	other := Rule{Need: 1, Of: names("n3", "n4")}
	r, changed = r.Update(other, 0, nil)
	assert.True(t, changed)
	assert.Equal(t, "n1 needs 1 of n3, n4; n1 needs 1 of n2", rulesText(r.Sync))
	assert.Equal(t, uint64(1), r.Serial, "votes stay valid")

	flushed := map[string]wal.LSN{"n2": 900, "n3": 499, "n5": 900}
	_, changed = r.Update(other, 500, flushed)
	assert.False(t, changed, "neither n3 nor n4 holds what n2 acknowledged")
	_, changed = r.Update(other, 0, map[string]wal.LSN{"n3": 900})
	assert.False(t, changed, "not known since when the new rule holds")
	flushed["N4"] = 500
	r, changed = r.Update(other, 500, flushed)
	assert.True(t, changed)
	assert.Equal(t, "n1 needs 1 of n3, n4", rulesText(r.Sync))

	r, changed = r.Update(async, 0, nil)
	assert.True(t, changed)
	assert.Equal(t, "n1 waits for nobody", rulesText(r.Sync))
	r, changed = r.Update(other, 0, nil)
	assert.True(t, changed)
	assert.Equal(t, "n1 needs 1 of n3, n4", rulesText(r.Sync), "nothing was promised before")
}

func anyName(t *rapid.T, label string) string {
	return rapid.OneOf(rapid.SampledFrom(names("n1", "n2", "db-3.example.org", "a b", "*", "%", "", "é")), rapid.String()).Draw(t, label)
}

func anyHistory(t *rapid.T) wal.History {
	h := history(wal.Timeline(rapid.IntRange(1, 3).Draw(t, "first timeline")))
	for range rapid.IntRange(0, MaxAncestors).Draw(t, "ancestors") {
		h = h.After(h.Timeline+wal.Timeline(rapid.IntRange(1, 3).Draw(t, "step")), h.Parent().End+wal.LSN(rapid.Uint64Range(0, 1<<36).Draw(t, "length")))
	}
	return h
}

func TestRecordAndBallotRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rule := func() Rule {
			r := Rule{Primary: anyName(t, "primary"), Need: rapid.IntRange(0, 3).Draw(t, "need")}
			for range rapid.IntRange(0, r.Need*2).Draw(t, "of") {
				r.Of = append(r.Of, anyName(t, "name"))
			}
			return r
		}
		r := Record{Serial: rapid.Uint64().Draw(t, "serial"), Node: anyName(t, "node"), History: anyHistory(t)}
		for range rapid.IntRange(0, 3).Draw(t, "rules") {
			r.Sync = append(r.Sync, rule())
		}
		for range rapid.IntRange(0, 3).Draw(t, "attempts") {
			h := anyHistory(t)
			at := wal.Position{Timeline: h.Timeline, LSN: h.Parent().End + wal.LSN(rapid.Uint64Range(0, 1<<36).Draw(t, "at"))}
			r.Next = append(r.Next, Attempt{rule(), at, h})
		}
		got, err := ParseRecord(r.String())
		require.NoError(t, err)
		require.Equal(t, r, got)

		v := Vote{Node: "n1", History: r.History, Serial: r.Serial, Known: wal.LSN(rapid.Uint64().Draw(t, "known")), Witness: rapid.Bool().Draw(t, "witness")}
		v.Position = wal.Position{Timeline: v.History.Timeline, LSN: wal.LSN(rapid.Uint64().Draw(t, "lsn"))}
		vote, err := ParseBallot("n1", v.Ballot())
		require.NoError(t, err)
		require.Equal(t, v, vote)
	})
}

func FuzzParseRecord(f *testing.F) {
	f.Add("serial=17 timeline=5 node=n2 from=4@0/5000060,3@0/4000028 sync=n2:1:n1,a%20b,% sync=n1:2 next=n3:0:5@0/7000000,4@0/5000060,3@0/4000028 next=n1:1:n2:1@0/1")
	f.Add("serial=1 timeline=1 node=n1 new=x")
	f.Fuzz(func(t *testing.T, s string) {
		r, err := ParseRecord(s)
		if err != nil {
			return
		}
		text := r.String()
		again, err := ParseRecord(text)
		if err != nil || again.String() != text || !isPlain(strings.ReplaceAll(text, " ", "")) {
			t.Fatalf("%q gave %q, which gave %q, %v", s, text, again, err)
		}
	})
}

func FuzzParseBallot(f *testing.F) {
	f.Add("serial=17 timeline=5 lsn=0/7000000 from=4@0/5000060,3@0/4000028 known=0/7000F00")
	f.Add("serial=0 timeline=1 lsn=0/0 witness=yes")
	f.Fuzz(func(t *testing.T, s string) {
		v, err := ParseBallot("n1", s)
		if err != nil {
			return
		}
		again, err := ParseBallot("n1", v.Ballot())
		if err != nil || again.Ballot() != v.Ballot() {
			t.Fatalf("%q gave %q, which gave %q, %v", s, v.Ballot(), again.Ballot(), err)
		}
	})
}
