package scenario

import (
	"context"
	"strings"
	"time"

	"pgsqlms/internal/crm"
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

// precedence is what counts where several things were under way at once: what nobody can do without comes first.
var precedence = []string{"promote", "stop", "start", "VIP", "agent", "notify", "fencing"}

// splitOf reads a gap's split from the logs of all nodes, also of those without power.
func splitOf(ctx context.Context, l *lab.Lab, from, to time.Time) Split {
	var all []crm.Activity
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
func split(all []crm.Activity, from, to time.Time) Split {
	if len(all) == 0 || !to.After(from) {
		return nil
	}
	begun, address := to, to // when anything began, and when the address was there for good
	moved := false
	for _, a := range all {
		if a.To.After(from) && a.From.Before(begun) {
			begun = a.From
		}
		if a.Part == "VIP" && a.To.After(from) && (!moved || a.To.After(address)) {
			moved, address = true, a.To
		}
	}
	// After the address is there the client may go on, and what the cluster still does is not what it waits for.
	end := to
	if address.Before(to) {
		end = address
	}
	s := Split(crm.Spend(all, precedence, from, end, func(at time.Time) string {
		if at.Before(begun) {
			return "detection"
		}
		return "cluster"
	}))
	if end.Before(from) {
		end = from
	}
	if to.After(end) {
		s["client"] += to.Sub(end)
	}
	return s
}

// clusterActivities are the operations on one node and the fencings, by its Pacemaker's log.
func clusterActivities(log string, since, until time.Time) []crm.Activity {
	var all []crm.Activity
	var reader crm.LogReader
	begun := map[string]time.Time{} // by operation and resource
	for line := range strings.Lines(log) {
		at, ok := LogTime(line, since)
		if !ok || at.Before(since) || at.After(until.Add(time.Minute)) {
			continue
		}
		e, found := reader.Read(line)
		key, part := activityOf(e)
		if !found {
			continue
		}
		switch from, under := begun[key]; {
		case e.Kind == crm.LogBegun, e.Kind == crm.LogFenceAsked:
			begun[key] = at
		case under && part != "" && (e.Kind == crm.LogEnded || e.Kind == crm.LogFenced):
			all = append(all, crm.Activity{Part: part, From: from, To: at})
			delete(begun, key)
		}
	}
	for key, from := range begun { // never seen to end
		op, rsc, _ := strings.Cut(key, " ")
		if part := partOf(op, rsc); part != "" && op != "monitor" {
			all = append(all, crm.Activity{Part: part, From: from, To: until})
		}
	}
	return all
}

// activityOf is what a line's event is the begin or the end of, and the part that it belongs to.
func activityOf(e crm.LogEvent) (key, part string) {
	if e.Kind == crm.LogFenceAsked || e.Kind == crm.LogFenced {
		return "fencing", "fencing"
	}
	return e.Operation + " " + e.Resource, partOf(e.Operation, e.Resource)
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

func databaseActivities(log string, since, until time.Time) []crm.Activity {
	var all []crm.Activity
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
				all = append(all, crm.Activity{Part: step.part, From: from, To: at})
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
