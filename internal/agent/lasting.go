package agent

import "time"

// lasting is how long monitors must find the same before it is acted on: so many of them in
// a row, and as many more as lie within a time where they come often. A second is too short
// for what passes by itself; a single look is too little, however long ago the one before.
type lasting struct {
	looks int
	span  time.Duration // from the first look to the last
}

// in is the number of monitors in a row that it takes, when one comes this long after the
// other; of those that do not come by themselves, the least.
func (l lasting) in(every time.Duration) int {
	if every <= 0 {
		return l.looks
	}
	return max(l.looks, 1+int((l.span+every-1)/every))
}

// looksFor is l in monitors like this one.
func (a *agent) looksFor(l lasting) int { return l.in(a.req.Interval) }
