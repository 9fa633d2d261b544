package operator

import (
	"strconv"
	"strings"
	"time"

	"pgsqlms/internal/crm"
	"pgsqlms/internal/election"
	"pgsqlms/internal/pattern"
	"pgsqlms/internal/wal"
)

// eventKind is what a line of a log tells of.
type eventKind string

const (
	eventRecord   eventKind = "record"   // the cluster's record was written
	eventPromoted eventKind = "promoted" // the action promote has succeeded on node
	eventFenced   eventKind = "fenced"   // node was fenced
	eventFailed   eventKind = "failed"   // an action, named by text, failed on node
	eventShutdown eventKind = "shutdown" // Pacemaker on node was told to stop
	eventStandby  eventKind = "standby"  // node was put into standby mode
	eventMoved    eventKind = "moved"    // a constraint, named by text, was made by hand
	eventKindOf   eventKind = "kind"     // text is what kind of promotion begins on this node
	eventOutcome  eventKind = "outcome"  // an election on this node has a winner
	eventDiverged eventKind = "diverged" // this node's instance has left the history
)

// logEvent is a line of a log that says something of the cluster's promotions.
type logEvent struct {
	at      time.Time
	kind    eventKind
	node    string
	text    string
	record  election.Record
	left    wal.Position // where a diverged instance left
	bytes   uint64       // that are lost, by an outcome or a divergence
	settled bool         // by an outcome: every acknowledged commit is there
}

// eventReader finds events in lines of Pacemaker's log, which has the agent's lines too,
// or of the journal. It knows the wording of Pacemaker 2.0 to 3.0; what it does not
// recognise says nothing.
type eventReader struct {
	resource crm.Resource
	nodeOfID func(string) string
}

// read takes a whole line. A mark that every such line has spares most of them the rest:
// a log may have millions.
func (r eventReader) read(line string) (logEvent, bool) {
	for _, f := range []struct {
		mark string
		find func(string) (logEvent, bool)
	}{
		{"serial=", r.record}, {"Result of promote", r.promoted}, {" targeting ", r.fenced}, {"Setting fail-count-", r.failed},
		{"Setting shutdown[", r.shutdown}, {"-standby", r.standby}, {"<rsc_location id=", r.moved}, {crm.AgentType + "(", r.agents},
	} {
		if !strings.Contains(line, f.mark) {
			continue
		}
		if e, found := f.find(line); found {
			return e, true
		}
	}
	return logEvent{}, false
}

// record is a change of the property in the CIB, which every node logs, or the agent's own
// word of it.
func (r eventReader) record(line string) (logEvent, bool) {
	name := crm.PropertyName(r.resource.Name)
	inCIB := strings.Contains(line, name+`"`) || strings.Contains(line, name+`'`)
	if !inCIB && (!r.isAgents(line) || !strings.Contains(line, "record of its timelines is now: ")) {
		return logEvent{}, false
	}
	_, text, found := strings.Cut(line, "serial=")
	if !found {
		return logEvent{}, false
	}
	text, _, _ = strings.Cut(text, `"`)
	record, err := election.ParseRecord("serial=" + strings.TrimSpace(text))
	return logEvent{kind: eventRecord, record: record}, err == nil
}

var promotedLine = pattern.New(`Result of promote operation for ([^ ]+) on ([^ ]+): (?:0 \()?ok\b`)

func (r eventReader) promoted(line string) (logEvent, bool) {
	m := promotedLine.FindStringSubmatch(line)
	if m == nil || primitiveOf(m[1]) != r.resource.Name {
		return logEvent{}, false
	}
	return logEvent{kind: eventPromoted, node: m[2]}, true
}

// primitiveOf takes the instance number off a resource's name.
func primitiveOf(name string) string {
	name, _, _ = strings.Cut(name, ":")
	return name
}

var fencedLine = pattern.New(`Operation '(reboot|off)' targeting ([^ ]+) (?:by|on) .*: OK\b`)

func (r eventReader) fenced(line string) (logEvent, bool) {
	m := fencedLine.FindStringSubmatch(line)
	if m == nil {
		return logEvent{}, false
	}
	return logEvent{kind: eventFenced, node: m[2], text: m[1]}, true
}

var failCountLine = pattern.New(`Setting fail-count-([^ #]+)#([a-z]+)_[0-9]+\[([^\] ]+)\]: .* -> ([0-9]+|INFINITY)\b`)

func (r eventReader) failed(line string) (logEvent, bool) {
	m := failCountLine.FindStringSubmatch(line)
	if m == nil || primitiveOf(m[1]) != r.resource.Name {
		return logEvent{}, false
	}
	return logEvent{kind: eventFailed, node: m[3], text: m[2]}, true
}

var shutdownLine = pattern.New(`Setting shutdown\[([^\] ]+)\]: .* -> [1-9][0-9]*\b`)

func (r eventReader) shutdown(line string) (logEvent, bool) {
	m := shutdownLine.FindStringSubmatch(line)
	if m == nil {
		return logEvent{}, false
	}
	return logEvent{kind: eventShutdown, node: m[1]}, true
}

var standbyLine = pattern.New(`\+\+? .*nodes-([^ '"]+)-standby.*value="?=?(?:on|true)\b`)

func (r eventReader) standby(line string) (logEvent, bool) {
	m := standbyLine.FindStringSubmatch(line)
	if m == nil {
		return logEvent{}, false
	}
	return logEvent{kind: eventStandby, node: r.nodeOfID(m[1])}, true
}

var movedLine = pattern.New(`\+\+ .*<rsc_location id="(cli-(?:ban|prefer)-[^"]*)"[^>]* rsc="([^"]*)"`)

func (r eventReader) moved(line string) (logEvent, bool) {
	m := movedLine.FindStringSubmatch(line)
	if m == nil || m[2] != r.resource.Name && m[2] != r.resource.Clone {
		return logEvent{}, false
	}
	return logEvent{kind: eventMoved, text: m[1]}, true
}

var (
	kindLine     = pattern.New(`: (failover|recovery|switchover|handover): this node is the candidate, `)
	outcomeLine  = pattern.New(`INFO: ([^ ]+) (?:alone votes, with WAL up to|holds the most WAL of) `)
	lostBytes    = pattern.New(`; ([0-9]+) bytes that were written after that (?:may be lost|are given up)`)
	divergedLine = pattern.New(`diverged: left timeline ([0-9]+) at ([0-9A-F]+/[0-9A-F]+), ([0-9]+) bytes of WAL`)
)

// isAgents says whether the agent wrote the line, for this resource.
func (r eventReader) isAgents(line string) bool {
	return strings.Contains(line, crm.AgentType+"("+r.resource.Name+")")
}

func (r eventReader) agents(line string) (logEvent, bool) {
	if !r.isAgents(line) {
		return logEvent{}, false
	}
	if m := kindLine.FindStringSubmatch(line); m != nil {
		return logEvent{kind: eventKindOf, text: m[1]}, true
	}
	if m := outcomeLine.FindStringSubmatch(line); m != nil {
		e := logEvent{kind: eventOutcome, node: m[1], settled: strings.Contains(line, "; every acknowledged commit is there")}
		if m := lostBytes.FindStringSubmatch(line); m != nil {
			e.bytes, _ = strconv.ParseUint(m[1], 10, 64)
		}
		return e, true
	}
	return divergence(line)
}

// divergence reads the agent's reason for a diverged instance, in a log or in a node's
// status.
func divergence(text string) (logEvent, bool) {
	m := divergedLine.FindStringSubmatch(text)
	if m == nil {
		return logEvent{}, false
	}
	timeline, err := wal.ParseTimeline(m[1])
	if err != nil {
		return logEvent{}, false
	}
	at, err := wal.ParseLSN(m[2])
	if err != nil {
		return logEvent{}, false
	}
	bytes, err := strconv.ParseUint(m[3], 10, 64)
	return logEvent{kind: eventDiverged, left: wal.Position{Timeline: timeline, LSN: at}, bytes: bytes}, err == nil
}

// stampOf takes the time off a line: of Pacemaker's own log, at its begin, or behind the
// tag of an agent; or of journalctl -o short-unix. Pacemaker's has no year: it is the
// latest that does not lie after newest.
func stampOf(line string, newest time.Time) (time.Time, bool) {
	if seconds, _, found := strings.Cut(line, " "); found {
		if t, ok := unixStamp(seconds); ok {
			return t, true
		}
	}
	text := line
	if _, after, found := strings.Cut(line, "]:\t"); found && strings.HasPrefix(line, crm.AgentType+"(") {
		text = after
	}
	const layout = time.Stamp
	if len(text) < len(layout) {
		return time.Time{}, false
	}
	t, err := time.ParseInLocation(layout, text[:len(layout)], newest.Location())
	if err != nil {
		return time.Time{}, false
	}
	if ms, err := strconv.Atoi(milliseconds(text[len(layout):])); err == nil {
		t = t.Add(time.Duration(ms) * time.Millisecond)
	}
	dated := t.AddDate(newest.Year(), 0, 0)
	if dated.After(newest.Add(clockSlack)) {
		dated = t.AddDate(newest.Year()-1, 0, 0)
	}
	return dated, true
}

// clockSlack is by how much a line may seem to be newer than its file.
const clockSlack = 24 * time.Hour

func milliseconds(rest string) string {
	if len(rest) >= 4 && rest[0] == '.' {
		return rest[1:4]
	}
	return ""
}

func unixStamp(s string) (time.Time, bool) {
	whole, fraction, found := strings.Cut(s, ".")
	seconds, err := strconv.ParseInt(whole, 10, 64)
	if !found || err != nil || len(fraction) != 6 || seconds < 1e9 || seconds > 1e11 {
		return time.Time{}, false
	}
	micros, err := strconv.ParseInt(fraction, 10, 64)
	return time.UnixMicro(seconds*1e6 + micros), err == nil
}
