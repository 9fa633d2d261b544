package writer

import (
	"fmt"
	"slices"
	"time"
)

// Gap is an interval without an acknowledgement.
type Gap struct {
	From, To time.Duration
	// Open: no acknowledgement ends it, the history does. The true gap is at least this long.
	Open bool
}

// Length is how long nobody could write.
func (g Gap) Length() time.Duration { return g.To - g.From }

// WriteGap gives the longest interval between two successive acknowledgements, of those that end at the fault or after
// it. Before the first acknowledgement the history's begin stands for one, after the last one its end.
func WriteGap(h History, fault time.Duration) Gap {
	if len(h.Attempts) == 0 {
		return Gap{Open: true}
	}
	first, last := bounds(h.Attempts)
	longest, previous := Gap{From: first, To: first}, first
	for _, answered := range acknowledgedAt(h.Attempts) {
		longest = longer(longest, Gap{From: previous, To: answered}, fault)
		previous = answered
	}
	return longer(longest, Gap{From: previous, To: last, Open: true}, fault)
}

func longer(longest, g Gap, fault time.Duration) Gap {
	if g.To >= fault && g.Length() > longest.Length() {
		return g
	}
	return longest
}

// bounds gives the begin and the end of what the attempts cover.
func bounds(attempts []Attempt) (first, last time.Duration) {
	first, last = attempts[0].Sent, attempts[0].Answered
	for _, a := range attempts {
		first, last = min(first, a.Sent), max(last, a.Answered)
	}
	return first, last
}

// acknowledgedAt gives the instants at which acknowledgements arrived, in order.
func acknowledgedAt(attempts []Attempt) []time.Duration {
	var at []time.Duration
	for _, a := range attempts {
		if a.Kind == Acknowledged {
			at = append(at, a.Answered)
		}
	}
	slices.Sort(at)
	return at
}

// Story tells what the client saw in a gap: its attempts that were answered there, the like ones in a row together.
func Story(h History, g Gap) []string {
	var lines []string
	var first Attempt // of those that are alike
	count := 0
	flush := func() {
		if count > 0 {
			lines = append(lines, fmt.Sprintf("%7.3f s: %d %s: %s", (first.Sent-g.From).Seconds(), count, first.Kind, first.Reason))
		}
	}
	for _, a := range h.Attempts {
		if a.Kind == Acknowledged || a.Answered <= g.From || a.Answered > g.To {
			continue
		}
		if count > 0 && a.Kind == first.Kind && a.Reason == first.Reason {
			count++
			continue
		}
		flush()
		first, count = a, 1
	}
	flush()
	return lines
}
