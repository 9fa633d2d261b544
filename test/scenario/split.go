package scenario

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"time"

	"pgsqlms/test/lab"
)

// Parts are what a write gap is made of, in the order in which a split names them.
var Parts = []string{"detection", "fencing", "notify", "stop", "start", "promote", "agent", "VIP", "cluster", "client"}

// Split says where a write gap went: a length of time for each of Parts, which add up to the gap. Nil when nothing was
// found in the logs.
//
//   - detection: nobody has begun to do anything yet
//   - fencing: it was asked for, and not confirmed yet
//   - stop, start, promote: PostgreSQL's own, by its log
//   - notify: notifications were under way and nothing of the above
//   - agent: another operation of the PostgreSQL resource was, and nothing of the above
//   - VIP: its stop or start was under way and nothing of the above
//   - cluster: nothing was under way, Pacemaker's own work
//   - client: the address was there, and the client or the first commit's synchronous standby was not through yet
type Split map[string]time.Duration

// activity is something that was under way for a while, to which a part of the gap is put down.
type activity struct {
	part     string
	from, to time.Time
}

// precedence is what counts where several things were under way at once: what nobody can do without comes first.
var precedence = []string{"promote", "stop", "start", "VIP", "agent", "notify", "fencing"}

// splitOf reads a gap's split from the logs of all nodes, also of those without power.
func splitOf(ctx context.Context, l *lab.Lab, from, to time.Time) Split {
	var all []activity
	for _, node := range l.Nodes() {
		if ctx.Err() != nil {
			return nil
		}
		// Somewhat more than the gap, so that what is under way at its begin is seen to begin.
		since := from.Add(-time.Minute)
		all = append(all, clusterActivities(l.ReadLog(node.Name, pacemakerLog), since, to)...)
		all = append(all, databaseActivities(l.ReadLog(node.Name, postgresLog), since, to)...)
	}
	return split(all, from, to)
}

// split puts every moment of the gap down to one part.
func split(all []activity, from, to time.Time) Split {
	if len(all) == 0 || !to.After(from) {
		return nil
	}
	cuts := []time.Time{from, to}
	begun, address := to, to // when anything began, and when the address was there for good
	moved := false
	for _, a := range all {
		for _, t := range []time.Time{a.from, a.to} {
			if t.After(from) && t.Before(to) {
				cuts = append(cuts, t)
			}
		}
		if a.to.After(from) && a.from.Before(begun) {
			begun = a.from
		}
		if a.part == "VIP" && a.to.After(from) && (!moved || a.to.After(address)) {
			moved, address = true, a.to
		}
	}
	slices.SortFunc(cuts, time.Time.Compare)
	s := Split{}
	for i := 1; i < len(cuts); i++ {
		s[partAt(all, cuts[i-1], begun, address)] += cuts[i].Sub(cuts[i-1])
	}
	return s
}

func partAt(all []activity, t, begun, address time.Time) string {
	// After the address is there the client may go on, and what the cluster still does is not what it waits for.
	if !t.Before(address) {
		return "client"
	}
	for _, part := range precedence {
		if slices.ContainsFunc(all, func(a activity) bool { return a.part == part && !t.Before(a.from) && t.Before(a.to) }) {
			return part
		}
	}
	if t.Before(begun) {
		return "detection"
	}
	return "cluster"
}

var (
	opBegun  = regexp.MustCompile(`Requesting local execution of (\w+) operation for (\S+) on \S+ `)
	opEnded  = regexp.MustCompile(`Result of (\w+) operation for (\S+) on \S+: `)
	notified = regexp.MustCompile(`(?:info: |finished - rsc:)(\S+) (?:action:)?notify (?:\(call \d+, PID \d+\) exited|call_id:)`)
	fenceAsk = regexp.MustCompile(`Requesting fencing \(\w+\) (?:of|targeting) node `)
	fenceEnd = regexp.MustCompile(`Operation '\w+' targeting \S+ (?:on|by) .*: OK`)
)

// clusterActivities are the operations on one node and the fencings, by its Pacemaker's log.
func clusterActivities(log string, since, until time.Time) []activity {
	var all []activity
	begun := map[string]time.Time{} // by operation and resource
	end := func(key, part string, at time.Time) {
		if from, ok := begun[key]; ok && part != "" {
			all = append(all, activity{part: part, from: from, to: at})
			delete(begun, key)
		}
	}
	for line := range strings.Lines(log) {
		at, ok := LogTime(line, since)
		if !ok || at.Before(since) || at.After(until.Add(time.Minute)) {
			continue
		}
		if m := opBegun.FindStringSubmatch(line); m != nil {
			begun[m[1]+" "+m[2]] = at
		} else if m := opEnded.FindStringSubmatch(line); m != nil {
			end(m[1]+" "+m[2], partOf(m[1], m[2]), at)
		} else if m := notified.FindStringSubmatch(line); m != nil {
			end("notify "+m[1], "notify", at)
		} else if fenceAsk.MatchString(line) {
			begun["fencing"] = at
		} else if fenceEnd.MatchString(line) {
			end("fencing", "fencing", at)
		}
	}
	for key, from := range begun { // never seen to end
		op, rsc, _ := strings.Cut(key, " ")
		if part := partOf(op, rsc); part != "" && op != "monitor" {
			all = append(all, activity{part: part, from: from, to: until})
		}
	}
	return all
}

// partOf says to which part an operation belongs; "" for one that nothing waits for.
func partOf(op, resource string) string {
	switch {
	case op == "monitor" || op == "probe":
		return ""
	case resource == lab.VIPResource:
		return "VIP"
	case resource != lab.Resource:
		return ""
	case op == "notify":
		return "notify"
	}
	return "agent"
}

// databaseSteps are the lines of PostgreSQL's log between which it does something.
var databaseSteps = []struct{ part, begin, end string }{
	{"stop", "shutdown request", "database system is shut down"},
	{"start", "starting PostgreSQL", "database system is ready to accept"},
	{"promote", "received promote request", "database system is ready to accept connections"},
}

func databaseActivities(log string, since, until time.Time) []activity {
	var all []activity
	begun := map[string]time.Time{}
	for line := range strings.Lines(log) {
		at, ok := DatabaseTime(line)
		if !ok || at.Before(since) || at.After(until.Add(time.Minute)) {
			continue
		}
		for _, step := range databaseSteps {
			switch from, under := begun[step.part]; {
			case strings.Contains(line, step.begin):
				begun[step.part] = at
			case under && strings.Contains(line, step.end):
				all = append(all, activity{part: step.part, from: from, to: at})
				delete(begun, step.part)
			}
		}
	}
	return all
}

// DatabaseTime reads the time that a line of PostgreSQL's log begins with, as the lab's log_line_prefix writes it.
func DatabaseTime(line string) (time.Time, bool) {
	const layout = "2006-01-02 15:04:05.000 MST"
	if len(line) < len(layout) {
		return time.Time{}, false
	}
	at, err := time.Parse(layout, line[:len(layout)])
	return at, err == nil
}
