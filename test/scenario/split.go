package scenario

import (
	"context"
	"strings"
	"time"

	"pgsqlms/internal/crm"
	"pgsqlms/test/lab"
	"pgsqlms/test/writer"
)

// Parts are what a write gap is made of, in the order in which a split names them.
var Parts = []string{"detection", "fencing", "notify", "stop", "start", "promote", "agent", "VIP", "cluster", "client", "standby"}

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
//   - client: the address was there, and the client was not through yet, or its row was being written
//   - standby: the client was through, and its commit waited for a standby that had not begun to stream from the new primary
type Split map[string]time.Duration

// precedence is what counts where several things were under way at once: what nobody can do without comes first. The stop
// of the old address holds nobody up as long as anything else is under way.
var precedence = []string{"promote", "stop", "start", "VIP", "agent", "notify", "fencing", vipStop}

// vipStop is the stop of the address, which a split has with its start.
const vipStop = "VIP stop"

// splitOf reads a gap's split from the logs of all nodes, also of those without power.
func splitOf(ctx context.Context, l *lab.Lab, h writer.History, g writer.Gap) Split {
	from, to := h.Epoch.Add(g.From), h.Epoch.Add(g.To)
	var all []crm.Activity
	var end ending
	var primary string
	end.through, primary = through(h, g)
	for _, node := range l.Nodes() {
		if ctx.Err() != nil {
			return nil
		}
		// Somewhat more than the gap, so that what is under way at its begin is seen to begin.
		since := from.Add(-time.Minute)
		all = append(all, clusterActivities(l.ReadLog(node.Name, pacemakerLog), since, to)...)
		log := l.ReadLog(node.Name, postgresLog)
		all = append(all, databaseActivities(log, since, to)...)
		if node.Name == primary {
			end.streaming = firstStandby(log, from)
		}
	}
	return split(all, from, to, end)
}

// ending is what is known of the end of a gap beside the activities; zero times are not known.
type ending struct {
	through   time.Time // the client was connected and had sent a row
	streaming time.Time // a standby began to stream from the new primary
}

// through is when the client was connected for the row whose acknowledgement ended a gap, and which node acknowledged it.
// Rows right before it that were left in doubt had the same connection.
func through(h writer.History, g writer.Gap) (at time.Time, node string) {
	for i, a := range h.Attempts {
		if a.Kind != writer.Acknowledged || a.Answered != g.To {
			continue
		}
		sent := a.Sent
		for i--; i >= 0 && h.Attempts[i].Kind == writer.InDoubt; i-- {
			sent = h.Attempts[i].Sent
		}
		return h.Epoch.Add(sent), a.Node
	}
	return time.Time{}, ""
}

// firstStandby is when PostgreSQL, by its log, was first asked to stream, not before an instant.
func firstStandby(log string, since time.Time) time.Time {
	for line := range strings.Lines(log) {
		if !strings.Contains(line, "received replication command: START_REPLICATION ") {
			continue
		}
		if at, ok := DatabaseTime(line); ok && !at.Before(since) {
			return at
		}
	}
	return time.Time{}
}

// split puts every moment of the gap down to one part.
func split(all []crm.Activity, from, to time.Time, last ending) Split {
	if len(all) == 0 || !to.After(from) {
		return nil
	}
	begun := to // when anything began
	for _, a := range all {
		if a.To.After(from) && a.From.Before(begun) {
			begun = a.From
		}
	}
	connected := within(last.through, from, to)
	awaited := !last.through.IsZero() && last.streaming.After(connected) // a standby, by the commit
	// After the address is there the client may go on, and what the cluster still does is not what it waits for.
	end, moved := addressed(all, from, to)
	if !moved && awaited {
		end = connected
	}
	s := Split(crm.Spend(all, precedence, from, end, func(at time.Time) string {
		if at.Before(begun) {
			return "detection"
		}
		return "cluster"
	}))
	s.add("VIP", s[vipStop])
	delete(s, vipStop)
	if !awaited {
		connected = to
	}
	connected = within(connected, end, to)
	s.add("client", connected.Sub(end))
	s.add("standby", to.Sub(connected))
	return s
}

func (s Split) add(part string, d time.Duration) {
	if d > 0 {
		s[part] += d
	}
}

// addressed is when, within the gap, the address was there for good; false and the gap's end where nothing tells.
func addressed(all []crm.Activity, from, to time.Time) (time.Time, bool) {
	at, moved := to, false
	for _, a := range all {
		if a.Part == "VIP" && a.To.After(from) && (!moved || a.To.After(at)) {
			at, moved = a.To, true
		}
	}
	return within(at, from, to), moved
}

func within(at, from, to time.Time) time.Time {
	switch {
	case at.Before(from):
		return from
	case at.After(to):
		return to
	}
	return at
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
	case resource == lab.VIPResource && op == "stop":
		return vipStop
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

// transitions counts what the scheduler calculated, by a node's Pacemaker's log. Only the DC's has any.
func transitions(log string, since, until time.Time) int {
	n := 0
	for line := range strings.Lines(log) {
		if !strings.Contains(line, "Calculated transition ") {
			continue
		}
		if at, ok := LogTime(line, since); ok && !at.Before(since) && !at.After(until) {
			n++
		}
	}
	return n
}
