package wal

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestParseLSN(t *testing.T) {
	for text, want := range map[string]LSN{
		"0/0": 0, "0/46351A8": 0x46351A8, "16/B374D848": 0x16B374D848, "0/46351a8": 0x46351A8,
		"FFFFFFFF/FFFFFFFF": math.MaxUint64, "0/00000001": 1,
	} {
		got, err := ParseLSN(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{
		"", "/", "0/", "/0", "0", "0/0/0", "0/123456789", "123456789/0", "g/0", "0/g", "0x1/0", "+1/0", "-1/0",
		"0/ 1", " 0/1", "0/1\n", "0_1/0", "1.5/0", strings.Repeat("0", 1000),
	} {
		_, err := ParseLSN(text)
		require.Error(t, err, text)
		require.Less(t, len(err.Error()), 200, text)
	}
}

func TestParsePosition(t *testing.T) {
	p, err := ParsePosition("2#73617832")
	require.NoError(t, err)
	require.Equal(t, Position{Timeline: 2, LSN: 0x46351A8}, p)
	require.Equal(t, "2#73617832", p.String())
	p, err = ParsePosition("1#0")
	require.NoError(t, err)
	require.Equal(t, Position{Timeline: 1}, p)
	for _, text := range []string{
		"", "#", "1#", "#1", "0#1", "1", "1#2#3", "01#2", "1#02", "-1#2", "1#-2", "+1#2", "1#+2", " 1#2", "1#2 ", "1#2\n",
		"4294967296#1", "1#18446744073709551616", "1#0x10", "1#1e3", "1#1_0", "nan#1", "1#0/46351A8", "١#1",
	} {
		_, err := ParsePosition(text)
		require.Error(t, err, text)
	}
}

func TestComparePositions(t *testing.T) {
	ordered := []Position{{}, {1, 0}, {1, 5}, {1, math.MaxUint64}, {2, 0}, {2, 1}, {math.MaxUint32, 0}}
	for a := range ordered {
		for b := range ordered {
			require.Equal(t, sign(a-b), sign(ordered[a].Compare(ordered[b])), "%v %v", ordered[a], ordered[b])
		}
	}
	require.True(t, Position{}.IsZero())
	require.False(t, Position{Timeline: 1}.IsZero())
}

func sign(n int) int {
	switch {
	case n < 0:
		return -1
	case n > 0:
		return 1
	}
	return 0
}

func TestTimelineNames(t *testing.T) {
	require.Equal(t, "0000001A.history", Timeline(26).HistoryFile())
	tli, err := TimelineOfSegment("0000001A0000000B000000FF")
	require.NoError(t, err)
	require.Equal(t, Timeline(26), tli)
	for _, name := range []string{
		"", "0000001A.history", "0000001A0000000B000000F", "0000001A0000000B000000FFF", "0000001a0000000b000000ff",
		"000000000000000B000000FF", "0000001A0000000B000000FF.partial", "archive_status", "+000001A0000000B000000FF",
	} {
		_, err := TimelineOfSegment(name)
		require.Error(t, err, name)
	}
	for _, c := range []struct {
		lsn  LSN
		size uint64
		want string
	}{
		{0, 16 << 20, "0000000000000000"},
		{0x1FFFFFF, 16 << 20, "0000000000000001"},
		{0x2000000, 16 << 20, "0000000000000002"},
		{0xFFFFFFFF, 16 << 20, "00000000000000FF"},
		{0x100000000, 16 << 20, "0000000100000000"},
		{0x16B374D848, 16 << 20, "00000016000000B3"},
		{0x16B374D848, 1 << 20, "0000001600000B37"},
		{0x16B374D848, 1 << 30, "0000001600000002"},
		{1, 0, ""}, {1, 3 << 20, ""}, {1, 1 << 31, ""}, {1, 1 << 19, ""},
	} {
		require.Equal(t, c.want, SegmentSuffix(c.lsn, c.size), "%s of %d", c.lsn, c.size)
	}
}

const exampleHistory = `# written by hand
1	0/3000000	no recovery target specified

2	0/46351A8	before 2000-01-01 00:00:00+00
   4	1/0
`

func TestParseHistory(t *testing.T) {
	h, err := ParseHistory(5, exampleHistory)
	require.NoError(t, err)
	require.Equal(t, History{Timeline: 5, Ancestors: []Ancestor{{1, 0x3000000}, {2, 0x46351A8}, {4, 0x100000000}}}, h)
	require.Equal(t, "1\t0/3000000\n2\t0/46351A8\n4\t1/0\n", h.String())
	require.Equal(t, Ancestor{4, 0x100000000}, h.Parent())
	h, err = ParseHistory(1, "")
	require.NoError(t, err)
	require.Equal(t, Ancestor{}, h.Parent())
	for what, text := range map[string]string{
		"no LSN":                     "1\n",
		"not an LSN":                 "1\t3000000\n",
		"not a number":               "x\t0/1\n",
		"timeline zero":              "0\t0/1\n",
		"its own":                    "5\t0/1\n",
		"above its own":              "6\t0/1\n",
		"twice":                      "1\t0/1\n1\t0/2\n",
		"decreasing":                 "2\t0/1\n1\t0/2\n",
		"left before it began":       "1\t0/2\n2\t0/1\n",
		"cut off in the middle":      "1\t0/3000000\tx\n2\t0/\n",
		"a zero byte":                "1\t0/1\n\x00",
		"another file's content":     "root:x:0:0:root:/root:/bin/bash\n",
		"no tab between the columns": "1 - 0/1\n",
	} {
		_, err := ParseHistory(5, text)
		require.Error(t, err, what)
	}
	_, err = ParseHistory(0, "")
	require.Error(t, err)
}

func TestHistoryAnswers(t *testing.T) {
	h, err := ParseHistory(5, exampleHistory)
	require.NoError(t, err)
	for timeline, want := range map[Timeline]bool{1: true, 2: true, 3: false, 4: true, 5: false, 6: false, 0: false} {
		require.Equal(t, want, h.IsAncestor(timeline), timeline)
	}
	for p, want := range map[Position]bool{
		{1, 0x3000000}:   true,  // ends where the timeline was left
		{1, 0x3000001}:   false, // has a byte the others do not have
		{1, 0}:           true,
		{2, 0x46351A8}:   true,
		{2, 0x46351A9}:   false,
		{3, 0}:           false, // a fork
		{5, 0}:           true,
		{5, 0xFFFFFFFFF}: true,
		{6, 0}:           false,
	} {
		require.Equal(t, want, h.Contains(p), p)
	}
	for lsn, want := range map[LSN]Timeline{
		0: 1, 0x3000000: 1, 0x3000001: 2, 0x46351A8: 2, 0x46351A9: 4, 0x100000000: 4, 0x100000001: 5,
	} {
		require.Equal(t, want, h.At(lsn), lsn)
	}
}

// anyHistory draws a history that PostgreSQL could have written.
func anyHistory(t *rapid.T) History {
	h := History{Timeline: Timeline(rapid.Uint32Range(1, math.MaxUint32).Draw(t, "timeline"))}
	var tli, lsn uint64
	for range rapid.IntRange(0, 8).Draw(t, "ancestors") {
		tli += uint64(rapid.Uint32Range(1, 1<<20).Draw(t, "step"))
		lsn += rapid.Uint64Range(0, 1<<40).Draw(t, "length")
		if tli >= uint64(h.Timeline) {
			break
		}
		h.Ancestors = append(h.Ancestors, Ancestor{Timeline(tli), LSN(lsn)})
	}
	return h
}

func TestHistoryRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := anyHistory(t)
		again, err := ParseHistory(h.Timeline, h.String())
		require.NoError(t, err)
		require.Equal(t, h, again)
	})
}

// The place a history names for an LSN is always on that history, and moving
// back along the log never leaves it. The oracle walks the timelines one by
// one, as if replaying.
func TestHistoryAtAgreesWithReplaying(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := anyHistory(t)
		lsn := LSN(rapid.Uint64Range(0, 1<<44).Draw(t, "lsn"))
		require.Equal(t, replayed(h, lsn), h.At(lsn))
		require.True(t, h.Contains(Position{h.At(lsn), lsn}))
		earlier := LSN(rapid.Uint64Range(0, uint64(lsn)).Draw(t, "earlier"))
		require.True(t, h.Contains(Position{h.At(lsn), earlier}))
		require.LessOrEqual(t, h.At(earlier), h.At(lsn))
	})
}

func replayed(h History, end LSN) Timeline {
	ways := append(append([]Ancestor(nil), h.Ancestors...), Ancestor{h.Timeline, math.MaxUint64})
	for len(ways) > 1 && ways[0].End < end {
		ways = ways[1:]
	}
	return ways[0].Timeline
}

func TestPositionRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := Position{Timeline(rapid.Uint32Range(1, math.MaxUint32).Draw(t, "timeline")), LSN(rapid.Uint64().Draw(t, "lsn"))}
		again, err := ParsePosition(p.String())
		require.NoError(t, err)
		require.Equal(t, p, again)
		lsn, err := ParseLSN(p.LSN.String())
		require.NoError(t, err)
		require.Equal(t, p.LSN, lsn)
	})
}

func FuzzParseLSN(f *testing.F) {
	for _, seed := range []string{"0/46351A8", "FFFFFFFF/FFFFFFFF", "0/0", "a/B", "0/", "/"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		l, err := ParseLSN(s)
		if err != nil {
			return
		}
		again, err := ParseLSN(l.String())
		if err != nil || again != l {
			t.Fatalf("%q gave %s, which gave %s, %v", s, l, again, err)
		}
	})
}

func FuzzParsePosition(f *testing.F) {
	for _, seed := range []string{"2#73617832", "1#0", "4294967295#18446744073709551615", "01#1", "#"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := ParsePosition(s)
		if err != nil {
			return
		}
		if p.String() != s { // there is one way to write a position
			t.Fatalf("%q gave %s", s, p)
		}
	})
}

func FuzzParseHistory(f *testing.F) {
	f.Add(uint32(5), exampleHistory)
	f.Add(uint32(1), "")
	f.Add(uint32(3), "1\t0/3000000\tno recovery target specified\r\n")
	f.Fuzz(func(t *testing.T, tli uint32, s string) {
		h, err := ParseHistory(Timeline(tli), s)
		if err != nil {
			return
		}
		again, err := ParseHistory(h.Timeline, h.String())
		if err != nil || again.String() != h.String() || len(again.Ancestors) != len(h.Ancestors) {
			t.Fatalf("%q gave %q, which gave %q, %v", s, h, again, err)
		}
		for _, a := range h.Ancestors {
			if !h.IsAncestor(a.Timeline) || !h.Contains(Position{a.Timeline, a.End}) || h.Contains(Position{a.Timeline, a.End + 1}) && a.End+1 != 0 {
				t.Fatalf("%q does not know its own ancestor %v", s, a)
			}
		}
	})
}
