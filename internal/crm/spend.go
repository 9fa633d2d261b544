package crm

import (
	"slices"
	"time"
)

// Activity is something that was under way for a while.
type Activity struct {
	Part     string // what it counts as
	From, To time.Time
}

// Spend puts every moment of a length of time down to one part: to the first of
// precedence that was under way then, and where none was, to what idle says. The parts
// add up to the whole; there are none where to is not after from.
func Spend(all []Activity, precedence []string, from, to time.Time, idle func(at time.Time) string) map[string]time.Duration {
	spent := map[string]time.Duration{}
	if !to.After(from) {
		return spent
	}
	cuts := []time.Time{from, to}
	for _, a := range all {
		for _, t := range []time.Time{a.From, a.To} {
			if t.After(from) && t.Before(to) {
				cuts = append(cuts, t)
			}
		}
	}
	slices.SortFunc(cuts, time.Time.Compare)
	for i := 1; i < len(cuts); i++ {
		if length := cuts[i].Sub(cuts[i-1]); length > 0 {
			spent[partAt(all, precedence, cuts[i-1], idle)] += length
		}
	}
	return spent
}

func partAt(all []Activity, precedence []string, t time.Time, idle func(time.Time) string) string {
	for _, part := range precedence {
		if slices.ContainsFunc(all, func(a Activity) bool { return a.Part == part && !t.Before(a.From) && t.Before(a.To) }) {
			return part
		}
	}
	return idle(t)
}
