package wal

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// line makes a history from pairs of timeline and end, and its own timeline.
func line(own Timeline, ancestors ...Ancestor) History {
	return History{Timeline: own, Ancestors: ancestors}
}

func TestFork(t *testing.T) {
	const never = LSN(math.MaxUint64)
	cases := map[string]struct {
		a, b  History
		at    Position
		known bool
	}{
		"the same":                     {line(1), line(1), Position{1, never}, true},
		"the same with ancestors":      {line(3, Ancestor{1, 100}), line(3, Ancestor{1, 100}), Position{3, never}, true},
		"an ancestor":                  {line(1), line(2, Ancestor{1, 100}), Position{1, 100}, true},
		"an ancestor of an ancestor":   {line(1), line(3, Ancestor{1, 100}, Ancestor{2, 200}), Position{1, 100}, true},
		"two children of one":          {line(2, Ancestor{1, 100}), line(3, Ancestor{1, 150}), Position{1, 100}, true},
		"two children at one place":    {line(2, Ancestor{1, 100}), line(3, Ancestor{1, 100}), Position{1, 100}, true},
		"one number, two begins":       {line(2, Ancestor{1, 100}), line(2, Ancestor{1, 150}), Position{1, 100}, true},
		"one number, two parents":      {line(3, Ancestor{1, 100}), line(3, Ancestor{1, 100}, Ancestor{2, 200}), Position{1, 100}, true},
		"below twins, the same number": {line(3, Ancestor{1, 100}, Ancestor{2, 300}), line(3, Ancestor{1, 150}, Ancestor{2, 300}), Position{1, 100}, true},
		"one was shortened":            {line(4, Ancestor{3, 300}), line(5, Ancestor{1, 100}, Ancestor{3, 300}, Ancestor{4, 400}), Position{4, 400}, true},
		"older than the other tells":   {line(4, Ancestor{3, 300}), line(2, Ancestor{1, 100}), Position{}, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			for _, pair := range [][2]History{{c.a, c.b}, {c.b, c.a}} {
				at, known := Fork(pair[0], pair[1])
				require.Equal(t, c.known, known)
				require.Equal(t, c.at, at)
			}
		})
	}
}

func TestShared(t *testing.T) {
	cluster := line(5, Ancestor{3, 300}, Ancestor{4, 400})
	require.Equal(t, Position{5, 900}, cluster.Shared(cluster, Position{5, 900}), "on it")
	require.Equal(t, Position{4, 350}, cluster.Shared(line(4, Ancestor{3, 300}), Position{4, 350}), "before")
	require.Equal(t, Position{4, 400}, cluster.Shared(line(4, Ancestor{3, 300}), Position{4, 401}), "past")
	require.Equal(t, Position{4, 350}, cluster.Shared(line(9, Ancestor{3, 300}, Ancestor{4, 350}), Position{9, 900}), "left it")
	require.Equal(t, Position{5, 500}, cluster.Shared(cluster.After(6, 500), Position{6, 600}), "goes on from it")
	require.Equal(t, Position{}, cluster.Shared(line(1), Position{1, 100}), "cannot be told")
}

func TestUntilAndLatest(t *testing.T) {
	h := line(5, Ancestor{1, 100}, Ancestor{3, 300}, Ancestor{4, 400})
	for own, ancestors := range map[Timeline]int{1: 0, 3: 1, 4: 2, 5: 3} {
		got, found := h.Until(own)
		require.True(t, found)
		require.True(t, got.Equal(line(own, h.Ancestors[:ancestors]...)), "%v", got)
	}
	_, found := h.Until(2)
	require.False(t, found)
	for from, want := range map[Timeline]Timeline{1: 3, 3: 4, 4: 5, 2: 0, 5: 0} {
		got, found := h.Following(from)
		require.Equal(t, want, got)
		require.Equal(t, want != 0, found)
	}
	require.True(t, h.Latest(2).Equal(line(5, Ancestor{3, 300}, Ancestor{4, 400})))
	require.True(t, h.Latest(9).Equal(h))
	require.False(t, h.Latest(2).Equal(h))
	require.False(t, h.Equal(line(6, h.Ancestors...)))
	require.True(t, h.Same(h) && h.Same(h.Latest(1)) && h.Latest(1).Same(h))
	require.False(t, h.Same(line(5, Ancestor{4, 399})) || h.Same(line(4)) || h.Same(h.After(6, 500)) || h.Same(History{}))
	require.True(t, h.Leads(h) && h.Leads(h.After(6, 500)) && h.Leads(h.After(6, 500).After(8, 600)))
	require.True(t, h.Latest(1).Leads(h.After(6, 500)))
	require.False(t, h.Leads(line(4, h.Ancestors[:2]...)), "its parent")
	require.False(t, h.Leads(line(5, Ancestor{1, 100}, Ancestor{3, 300}, Ancestor{4, 399})), "the same number, begun elsewhere")
	require.False(t, h.Leads(line(6, Ancestor{4, 400})), "a sibling")
	require.False(t, h.Leads(History{}))
}

// byByte names, for each LSN below the bound, which timeline's byte a history has there.
// A timeline that was begun elsewhere holds other bytes under the same number, so the
// whole way to it is part of the name.
func byByte(h History, bound int) []string {
	names := make([]string, bound)
	for l := range names {
		way := ""
		for _, a := range h.Ancestors {
			if LSN(l) < a.End {
				way += fmt.Sprintf("%d", a.Timeline)
				break
			}
			way += fmt.Sprintf("%d@%d,", a.Timeline, a.End)
		}
		if n := len(h.Ancestors); n == 0 || LSN(l) >= h.Ancestors[n-1].End {
			way += fmt.Sprintf("%d", h.Timeline)
		}
		names[l] = way
	}
	return names
}

// smallHistory draws one with few timelines, so that two of them often meet.
func smallHistory(t *rapid.T, label string) History {
	h := History{Timeline: 1}
	var begin LSN
	for range rapid.IntRange(0, 3).Draw(t, label+" promotions") {
		begin += LSN(rapid.IntRange(1, 4).Draw(t, label+" length"))
		h = h.After(h.Timeline+Timeline(rapid.IntRange(1, 2).Draw(t, label+" step")), begin)
	}
	return h
}

// The oracle compares two logs byte by byte.
func TestForkAgreesWithComparingBytes(t *testing.T) {
	const bound = 20
	rapid.Check(t, func(t *rapid.T) {
		a, b := smallHistory(t, "a"), smallHistory(t, "b")
		x, y := byByte(a, bound), byByte(b, bound)
		same := 0
		for same < bound && x[same] == y[same] {
			same++
		}
		at, known := Fork(a, b)
		require.True(t, known)
		if same == bound {
			require.Equal(t, endless, at.LSN)
			require.True(t, a.Equal(b))
			return
		}
		require.Equal(t, LSN(same), at.LSN, "%v %v", a, b)
		end := LSN(rapid.IntRange(0, bound-1).Draw(t, "end"))
		held := a.Shared(b, Position{b.At(end), end})
		require.Equal(t, min(end, LSN(same)), held.LSN)
		require.True(t, a.Contains(held) && b.Contains(held))
	})
}
