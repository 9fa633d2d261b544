package writer

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"pgregory.net/rapid"
)

// history makes attempts of one millisecond each: "a" is acknowledged by node a, "-" refused, "?" in doubt.
func history(answers string) History {
	var h History
	for i, c := range answers {
		at := time.Duration(i) * time.Millisecond
		a := Attempt{ID: int64(i + 1), Sent: at, Answered: at + time.Millisecond}
		switch c {
		case '-':
			a.Kind = Refused
		case '?':
			a.Kind = InDoubt
		default:
			a.Kind, a.Node = Acknowledged, string(c)
		}
		h.Attempts = append(h.Attempts, a)
	}
	return h
}

func TestWriteGap(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct {
		name    string
		answers string
		fault   time.Duration
		want    Gap
	}{
		{"nothing was tried", "", 0, Gap{Open: true}},
		{"undisturbed", "aaaa", 2 * ms, Gap{From: 1 * ms, To: 2 * ms}},
		{"an outage", "aaa----bbb", 3 * ms, Gap{From: 3 * ms, To: 8 * ms}},
		{"in doubt is no acknowledgement", "aaa-??-bbb", 3 * ms, Gap{From: 3 * ms, To: 8 * ms}},
		{"an outage before the fault does not count", "aa-----aaa--bbb", 9 * ms, Gap{From: 10 * ms, To: 13 * ms}},
		{"the outage that the fault is in began before it", "aa------bb", 5 * ms, Gap{From: 2 * ms, To: 9 * ms}},
		{"the longer of two", "aaa--aaa----bb", 3 * ms, Gap{From: 8 * ms, To: 13 * ms}},
		{"it never comes back", "aaa----", 3 * ms, Gap{From: 3 * ms, To: 7 * ms, Open: true}},
		{"a first start", "----aaaa", 0, Gap{From: 0, To: 5 * ms}},
		{"never at all", "----", 0, Gap{From: 0, To: 4 * ms, Open: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			assert.Equal(t, c.want, WriteGap(history(c.answers), c.fault))
		})
	}
}

// anyHistory draws attempts of several writers, each one's own sequential, times coarse so that ties are common.
func anyHistory(t *rapid.T) History {
	var histories []History
	id := int64(0)
	for range rapid.IntRange(1, 3).Draw(t, "writers") {
		var h History
		var now time.Duration
		for range rapid.IntRange(0, 12).Draw(t, "attempts") {
			id++
			sent := now + time.Duration(rapid.IntRange(0, 3).Draw(t, "wait"))
			now = sent + time.Duration(rapid.IntRange(0, 4).Draw(t, "took"))
			a := Attempt{ID: id, Sent: sent, Answered: now, Kind: Kind(rapid.IntRange(0, 2).Draw(t, "kind"))}
			if a.Kind == Acknowledged {
				a.Node = rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "node")
			}
			h.Attempts = append(h.Attempts, a)
		}
		histories = append(histories, h)
	}
	return Merge(histories...)
}

// dumbGap tries every pair of instants and keeps those with no acknowledgement in between.
func dumbGap(h History, fault time.Duration) time.Duration {
	var marks, acks []time.Duration
	for _, a := range h.Attempts {
		if a.Kind == Acknowledged {
			acks = append(acks, a.Answered)
		}
	}
	if len(h.Attempts) > 0 {
		begin, end := h.Attempts[0].Sent, h.Attempts[0].Answered
		for _, a := range h.Attempts {
			begin, end = min(begin, a.Sent), max(end, a.Answered)
		}
		marks = append(append(marks, acks...), begin, end)
	}
	var longest time.Duration
	for _, from := range marks {
		for _, to := range marks {
			quiet := true
			for _, ack := range acks {
				quiet = quiet && (ack <= from || to <= ack)
			}
			if quiet && to >= fault {
				longest = max(longest, to-from)
			}
		}
	}
	return longest
}

func TestWriteGapAgainstADumbOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := anyHistory(t)
		fault := time.Duration(rapid.IntRange(0, 40).Draw(t, "fault"))
		gap := WriteGap(h, fault)
		assert.Equal(t, dumbGap(h, fault), gap.Length())
		for _, a := range h.Attempts {
			inside := a.Kind == Acknowledged && gap.From < a.Answered && a.Answered < gap.To
			assert.False(t, inside, "an acknowledgement inside the gap")
		}
	})
}

func TestStory(t *testing.T) {
	h := history("aa?---??bb-b")
	assert.Equal(t, []string{
		"  0.000 s: 1 in doubt: ",
		"  0.001 s: 3 refused: ",
		"  0.004 s: 2 in doubt: ",
	}, Story(h, WriteGap(h, 0)))
	assert.Empty(t, Story(History{}, Gap{}))
}
