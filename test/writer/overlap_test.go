package writer

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"pgregory.net/rapid"
)

// ack is an acknowledgement by a node, in milliseconds.
func ack(id int64, node string, sent, answered int) Attempt {
	return Attempt{ID: id, Node: node, Kind: Acknowledged,
		Sent: time.Duration(sent) * time.Millisecond, Answered: time.Duration(answered) * time.Millisecond}
}

func TestOverlaps(t *testing.T) {
	doubtful := ack(9, "b", 0, 100)
	doubtful.Kind = InDoubt
	for _, c := range []struct {
		name     string
		attempts []Attempt
		want     [][2]int64
	}{
		{"nothing", nil, nil},
		{"one node, two writers", []Attempt{ack(1, "a", 0, 5), ack(2, "a", 3, 8)}, nil},
		{"one after the other", []Attempt{ack(1, "a", 0, 5), ack(2, "b", 6, 8)}, nil},
		{"at once", []Attempt{ack(1, "a", 0, 5), ack(2, "b", 4, 8)}, [][2]int64{{1, 2}}},
		{"one instant in common", []Attempt{ack(1, "a", 0, 5), ack(2, "b", 5, 8)}, [][2]int64{{1, 2}}},
		{"one within the other", []Attempt{ack(1, "a", 0, 9), ack(2, "b", 2, 3), ack(3, "b", 4, 5)},
			[][2]int64{{1, 2}, {1, 3}}},
		{"in doubt is no acknowledgement", []Attempt{ack(1, "a", 0, 5), doubtful}, nil},
		{"unsorted", []Attempt{ack(2, "b", 4, 8), ack(1, "a", 0, 5)}, [][2]int64{{1, 2}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got [][2]int64
			for _, o := range Overlaps(History{Attempts: c.attempts}) {
				got = append(got, [2]int64{o.A.ID, o.B.ID})
			}
			assert.Equal(t, c.want, got)
		})
	}
}

func TestOverlapsAgainstADumbOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := anyHistory(t)
		got := map[[2]int64]int{}
		for _, o := range Overlaps(h) {
			got[[2]int64{min(o.A.ID, o.B.ID), max(o.A.ID, o.B.ID)}]++
		}
		want := map[[2]int64]int{}
		for _, a := range h.Attempts {
			for _, b := range h.Attempts {
				both := a.Kind == Acknowledged && b.Kind == Acknowledged && a.ID < b.ID
				if both && a.Node != b.Node && max(a.Sent, b.Sent) <= min(a.Answered, b.Answered) {
					want[[2]int64{a.ID, b.ID}]++
				}
			}
		}
		assert.Equal(t, want, got)
	})
}

func TestReigns(t *testing.T) {
	assert.Empty(t, Reigns(history("--??")))
	assert.Equal(t, []Reign{{"a", 3}, {"b", 2}, {"a", 1}}, Reigns(history("aa-a??bb--a")))
}

func TestReignsCountEveryAcknowledgementOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := anyHistory(t)
		sum, last := 0, ""
		for _, r := range Reigns(h) {
			assert.NotEqual(t, last, r.Node)
			sum, last = sum+r.Count, r.Node
		}
		assert.Equal(t, Judge(h, nil).Acknowledged, sum)
	})
}
