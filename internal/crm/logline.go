package crm

import (
	"maps"
	"strconv"
	"strings"

	"pgsqlms/internal/pattern"
)

// LogKind is what a line of Pacemaker's log tells of.
type LogKind string

// The kinds of lines that tell where the time of a transition goes.
const (
	LogLost        LogKind = "lost"         // corosync took Node out of the membership
	LogFenceAsked  LogKind = "fence-asked"  // the coordinator asked for Node to be fenced
	LogFenced      LogKind = "fenced"       // the fencing of Node was confirmed
	LogFenceFailed LogKind = "fence-failed" // it was not; Text says why
	LogBegun       LogKind = "begun"        // Operation of Resource began on Node
	LogEnded       LogKind = "ended"        // it ended, with Code
)

// LogEvent is a line of Pacemaker's log, read.
type LogEvent struct {
	Kind      LogKind
	Node      string
	Resource  string // the primitive's name, without :N
	Operation string // as in promote
	Code      int    // of LogEnded: the action's exit code; -1 where the line has none
	Text      string // of LogFenceFailed, the outcome; of LogEnded, the exit reason, where the line has it

	// InCIB: the line is of a change of the CIB, which every node logs, of any node's
	// operations but notify. Otherwise it is the word of the node that runs the operation.
	InCIB bool
}

// LogReader reads Pacemaker's log, in the wording of 2.0 to 3.0, line by line: the end of
// an operation, in the CIB, does not say which operation it is. The zero value knows no
// node by its id, so that of the CIB's changes it reads none.
type LogReader struct {
	NodeOfID func(id string) string

	operations map[string]string // by the place of its entry in the CIB
}

var (
	lostLogLine       = pattern.New(`Node (\S+) state is now lost\b`)
	fenceAskedLogLine = pattern.New(`Requesting fencing \(\w+\) (?:of|targeting) node (\S+)`)
	fencedLogLine     = pattern.New(`Operation '\w+' targeting (\S+) (?:on|by) .*?: (OK\b|[A-Z][^|]*)`)
	begunLogLine      = pattern.New(`Requesting local execution of (\w+) operation for (\S+) on (\S+) `)
	endedLogLine      = pattern.New(`Result of (\w+) operation for (\S+) on (\S+): (ok\b|[0-9]+\b)?`)
	endedCode         = pattern.New(`\brc=([0-9]+)`)
	notifiedLogLine   = pattern.New(`(?:info: |finished - rsc:)(\S+) (?:action:)?notify (?:\(call \d+, PID \d+\) exited|call_id:)`)
)

// Read takes a whole line. What it does not recognise says nothing.
func (r *LogReader) Read(line string) (LogEvent, bool) {
	for _, f := range []struct {
		mark string // that every such line has: a log may have millions
		find func(string) (LogEvent, bool)
	}{
		{"-- /cib/status/node_state[", r.removed}, {"/lrm_rsc_op[", r.changed}, {"<lrm_rsc_op ", r.added}, {" state is now lost", lost}, {"Requesting ", asked},
		{" targeting ", fenced}, {"Result of ", ended}, {"notify ", notified},
	} {
		if !strings.Contains(line, f.mark) {
			continue
		}
		if e, found := f.find(line); found {
			return e, true
		}
	}
	return LogEvent{}, false
}

func lost(line string) (LogEvent, bool) {
	m := lostLogLine.FindStringSubmatch(line)
	if m == nil {
		return LogEvent{}, false
	}
	return LogEvent{Kind: LogLost, Node: m[1]}, true
}

func asked(line string) (LogEvent, bool) {
	if m := fenceAskedLogLine.FindStringSubmatch(line); m != nil {
		return LogEvent{Kind: LogFenceAsked, Node: m[1]}, true
	}
	if m := begunLogLine.FindStringSubmatch(line); m != nil {
		return LogEvent{Kind: LogBegun, Operation: m[1], Resource: primitiveName(m[2]), Node: m[3]}, true
	}
	return LogEvent{}, false
}

func fenced(line string) (LogEvent, bool) {
	m := fencedLogLine.FindStringSubmatch(line)
	switch {
	case m == nil:
		return LogEvent{}, false
	case strings.HasPrefix(m[2], "OK"):
		return LogEvent{Kind: LogFenced, Node: m[1]}, true
	}
	return LogEvent{Kind: LogFenceFailed, Node: m[1], Text: strings.TrimSpace(m[2])}, true
}

func ended(line string) (LogEvent, bool) {
	m := endedLogLine.FindStringSubmatch(line)
	if m == nil {
		return LogEvent{}, false
	}
	code := strings.Replace(m[4], "ok", "0", 1)
	if found := endedCode.FindStringSubmatch(line); found != nil {
		code = found[1]
	}
	return LogEvent{Kind: LogEnded, Operation: m[1], Resource: primitiveName(m[2]), Node: m[3], Code: codeOf(code)}, true
}

// notified is the executor's own word, which releases have that do not log the result of
// a notification.
func notified(line string) (LogEvent, bool) {
	m := notifiedLogLine.FindStringSubmatch(line)
	if m == nil {
		return LogEvent{}, false
	}
	return LogEvent{Kind: LogEnded, Operation: "notify", Resource: primitiveName(m[1]), Code: -1}, true
}

var removedLogLine = pattern.New(`-- /cib/status/node_state\[@id='([^']+)'\]`)

// removed is a part of a node's history that was deleted, as when the node comes back:
// what comes into its place is not logged in a way that is read here.
func (r *LogReader) removed(line string) (LogEvent, bool) {
	m := removedLogLine.FindStringSubmatch(line)
	if m != nil && !strings.Contains(line, "/transient_attributes") {
		maps.DeleteFunc(r.operations, func(place, _ string) bool { return strings.HasPrefix(place, m[1]+"/") })
	}
	return LogEvent{}, false
}

// changed is an entry of the CIB's history of operations that has changed: Pacemaker
// notes an operation when it begins, as pending, and when it has ended.
func (r *LogReader) changed(line string) (LogEvent, bool) {
	place, text := entryLine(line)
	return r.entry(place, between(place, "/lrm_rsc_op[@id='", "'"), text, func(name string) string {
		return between(text, " @"+name+"=", ", @")
	})
}

func (r *LogReader) added(line string) (LogEvent, bool) {
	place, text := entryLine(line)
	return r.entry(place, between(text, `<lrm_rsc_op id="`, `"`), text, func(name string) string {
		return between(text, " "+name+`="`, `"`)
	})
}

// entryLine parts a line into the place in the CIB and what is there.
func entryLine(line string) (place, text string) {
	_, after, _ := strings.Cut(line, "/cib/status")
	place, text, _ = strings.Cut(after, "]: ")
	return place, text
}

// entry is an entry of the history: where it stands, its id, and how to read a field of
// what is logged of it.
func (r *LogReader) entry(place, id, text string, field func(name string) string) (LogEvent, bool) {
	node, resource := between(place, "/node_state[@id='", "'"), between(place, "/lrm_resource[@id='", "'")
	if node == "" || resource == "" || id == "" || text == "" || r.NodeOfID == nil {
		return LogEvent{}, false
	}
	key := node + "/" + resource + "/" + id
	if operation := field("operation"); operation != "" {
		if r.operations == nil {
			r.operations = map[string]string{}
		}
		r.operations[key] = operation
	}
	e := LogEvent{
		Node: r.NodeOfID(node), Resource: primitiveName(resource), Operation: r.operations[key],
		Code: codeOf(field("rc-code")), Text: field("exit-reason"), InCIB: true,
	}
	magic := field("transition-magic")
	switch {
	case e.Node == "" || magic == "":
		return LogEvent{}, false
	case strings.HasPrefix(magic, "-1:"): // pending
		e.Kind, e.Code = LogBegun, 0
	default:
		e.Kind = LogEnded
		if _, rest, found := strings.Cut(magic, ":"); found && e.Code < 0 {
			code, _, _ := strings.Cut(rest, ";")
			e.Code = codeOf(code)
		}
	}
	if isProbe(magic) {
		e.Operation = "monitor" // its entry takes the place of another operation's
	}
	return e, e.Operation != ""
}

// isProbe reads a transition's magic, status:code;action:transition:expected:id. Only a
// probe is expected to find nothing running (7).
func isProbe(magic string) bool {
	_, key, _ := strings.Cut(magic, ";")
	fields := strings.SplitN(key, ":", 4)
	return len(fields) == 4 && fields[2] == "7"
}

// between is what stands behind begin and before end, or the end of the text.
func between(text, begin, end string) string {
	_, after, found := strings.Cut(text, begin)
	if !found {
		return ""
	}
	value, _, _ := strings.Cut(after, end)
	return value
}

func codeOf(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return -1
	}
	return n
}

// primitiveName takes the instance number off a resource's name.
func primitiveName(name string) string {
	name, _, _ = strings.Cut(name, ":")
	return name
}
