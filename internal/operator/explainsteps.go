package operator

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"pgsqlms/internal/crm"
	"pgsqlms/internal/pattern"
)

// happening is a line of this node's log that belongs to a change of the promoted role.
type happening struct {
	at    time.Time
	line  crm.LogEvent // an operation, a fencing, a loss; its Kind is empty for another line
	event logEvent     // what a person did, or what failed; its kind is empty for another line
	said  string       // by the agent, on this node
	score *scoreChange
	begun bool // Pacemaker was started on this node
}

type scoreChange struct {
	node  string
	score int
}

// courseReader reads what happened from a log's lines. Its own events, of history, are
// read by the same eventReader.
type courseReader struct {
	events    eventReader
	lines     crm.LogReader
	followers []string
	score     string // the name of the attribute
	last      time.Time
}

func newCourseReader(f survey) *courseReader {
	return &courseReader{
		events:    eventReader{resource: f.resource, nodeOfID: f.cib.NodeOfID},
		lines:     crm.LogReader{NodeOfID: f.cib.NodeOfID},
		followers: f.cib.Followers(f.resource),
		score:     crm.ScoreAttribute(f.resource.Name),
	}
}

var (
	saidLine  = pattern.New(`\b(?:INFO|WARNING|ERROR): (.*)`)
	scoreLine = pattern.New(`Setting ([^ \[]+)\[([^\] ]+)\]: .* -> (\(unset\)|[+-]?[0-9A-Z]+)`)

	// sayings are what the agent says of an election and of a promotion.
	sayings = []string{
		": this node is the candidate", "this node votes: ", "vote of ", " holds the most WAL of ", " alone votes, with WAL up to ",
		": stepping aside before", ": promoting it instead", "not promoted: ", "switchover cancelled: ", "no node has a promotion score",
		"counts as absent", "waits for ", "diverged: left",
	}
)

// read takes a line and the event that history makes of it, if any. The agent's lines
// have whole seconds: where the line before is of the same second, theirs is its time.
func (r *courseReader) read(at time.Time, line string, e logEvent) (happening, bool) {
	if strings.HasPrefix(line, crm.AgentType+"(") && at.Equal(r.last.Truncate(time.Second)) {
		at = r.last
	}
	r.last = at
	h := happening{at: at}
	switch e.kind {
	case eventFailed: // other operations tell that themselves
		h.event = e
		return h, e.text == "monitor"
	case eventShutdown, eventStandby, eventMoved:
		h.event = e
		return h, true
	}
	if strings.Contains(line, "Starting Pacemaker ") {
		h.begun = true
		return h, true
	}
	if line, found := r.lines.Read(line); found {
		h.line = line
		return h, r.matters(line)
	}
	if h.score = r.scored(line); h.score != nil {
		return h, true
	}
	h.said = r.saidBy(line)
	return h, h.said != ""
}

// matters leaves out other resources, and monitors: one that failed has an event of its
// own.
func (r *courseReader) matters(e crm.LogEvent) bool {
	if e.Kind != crm.LogBegun && e.Kind != crm.LogEnded {
		return true
	}
	if e.Operation == "monitor" || e.Operation == "probe" {
		return false
	}
	return e.Resource == r.events.resource.Name || slices.Contains(r.followers, e.Resource)
}

func (r *courseReader) scored(line string) *scoreChange {
	if !strings.Contains(line, "Setting ") || !strings.Contains(line, r.score) {
		return nil
	}
	m := scoreLine.FindStringSubmatch(line)
	if m == nil || m[1] != r.score {
		return nil
	}
	score, err := strconv.Atoi(m[3])
	switch {
	case strings.HasSuffix(m[3], "INFINITY"):
		score = crm.Infinity
		if m[3][0] == '-' {
			score = -score
		}
	case err != nil: // it was deleted
		return nil
	}
	return &scoreChange{m[2], score}
}

func (r *courseReader) saidBy(line string) string {
	if !strings.Contains(line, crm.AgentType+"(") || !r.events.isAgents(line) {
		return ""
	}
	m := saidLine.FindStringSubmatch(line)
	if m == nil || !slices.ContainsFunc(sayings, func(s string) bool { return strings.Contains(m[1], s) }) {
		return ""
	}
	return m[1]
}

// course is what happened, in order, with begins and ends put together.
type course struct {
	node     string // whose log it is
	resource string
	steps    []doing
	scores   []happening
	starts   []time.Time // of Pacemaker on this node: before each, there is a hole in the log
}

// doing is something that took a while, or a moment.
type doing struct {
	from, to time.Time // equal for a moment
	begins   bool      // the begin is in the log
	ends     bool      // the end is
	line     crm.LogEvent
	event    logEvent
	said     string
}

// doubled is how far apart two lines may be that tell of one thing: each daemon logs a
// loss, and an operation's end is in the log and in the CIB.
const doubled = 2 * time.Second

func courseOf(f pastSurvey) course {
	c := course{node: f.node, resource: f.resource.Name}
	open := map[string]int{} // steps under way
	for _, h := range f.happenings {
		switch {
		case h.begun:
			c.starts = append(c.starts, h.at)
		case h.score != nil:
			c.scores = append(c.scores, h)
		case h.line.Kind != "":
			c.take(open, h)
		default:
			c.steps = append(c.steps, doing{from: h.at, to: h.at, begins: true, ends: true, event: h.event, said: h.said})
		}
	}
	slices.SortStableFunc(c.steps, func(a, b doing) int { return a.from.Compare(b.from) })
	return c
}

// take notes the begin of something, or the end of what has begun.
func (c *course) take(open map[string]int, h happening) {
	e := h.line
	key := string(e.Kind[0]) + " " + e.Node
	begins, ends := true, true
	switch e.Kind {
	case crm.LogBegun, crm.LogEnded:
		if e.Node == "" {
			e.Node = c.node // the executor's own word of a notification
		}
		key = e.Operation + " " + e.Resource + " " + e.Node
		begins, ends = e.Kind == crm.LogBegun, e.Kind == crm.LogEnded
	case crm.LogFenceAsked, crm.LogFenced, crm.LogFenceFailed:
		key = "fencing " + e.Node
		begins = e.Kind == crm.LogFenceAsked
		ends = !begins
	}
	n, seen := open[key]
	switch {
	case seen && begins && !c.steps[n].ends: // told twice
	case seen && ends && !c.steps[n].ends:
		c.steps[n].to, c.steps[n].ends, c.steps[n].line = h.at, true, e
	case seen && ends && h.at.Sub(c.steps[n].to) < doubled:
		if e.Text != "" {
			c.steps[n].line.Text = e.Text // the reason stands in one of the two lines
		}
	default:
		open[key] = len(c.steps)
		c.steps = append(c.steps, doing{from: h.at, to: h.at, begins: begins, ends: ends, line: e})
	}
}

func (d doing) operation(resource, name string) bool {
	return d.line.Resource == resource && d.line.Operation == name && d.line.Kind != ""
}

func (d doing) fencing() bool {
	return d.line.Kind == crm.LogFenceAsked || d.line.Kind == crm.LogFenced || d.line.Kind == crm.LogFenceFailed
}

// promoted says whether it is a promotion that succeeded.
func (c course) promoted(d doing) bool {
	return d.operation(c.resource, "promote") && d.ends && d.line.Code == 0
}

// triggers says whether it may be the beginning of a change of the role, or a part of one.
// from is the node that had the role, empty where nobody knows: the trouble of another one
// begins no change.
func (c course) triggers(d doing, from string) bool {
	switch {
	case d.event.kind == eventMoved, d.operation(c.resource, "demote"), d.operation(c.resource, "promote"):
		return true
	case d.event.kind != "":
		return from == "" || d.event.node == from
	case d.line.Kind == crm.LogLost, d.fencing():
		return from == "" || d.line.Node == from
	}
	return strings.Contains(d.said, "no node has a promotion score")
}

// quiet is how long nothing may happen within one change of the role. Fence devices are
// tried again, and elections held again, within a monitor's interval.
const quiet = 2 * time.Minute

// follow is how long after a promotion what follows the role is looked for.
const follow = time.Minute

// between are the steps of the change that ends with the step of that number, or goes on
// when it is the last one. after is the end of the change before, from who had the role. Where
// nothing is known to have befallen that one, it is anybody's trouble that counts.
func (c course) between(last int, after time.Time, from string) []doing {
	first := c.firstOf(last, after, from)
	if first == last {
		first = c.firstOf(last, after, "")
	}
	end := last
	if c.promoted(c.steps[last]) {
		for n := last + 1; n < len(c.steps) && c.steps[n].from.Sub(c.steps[last].to) < follow; n++ {
			if c.triggers(c.steps[n], "") {
				break
			}
			if d := c.steps[n]; d.line.Operation == "start" && d.line.Resource != c.resource && d.line.Node == c.steps[last].line.Node {
				end = n
			}
		}
	}
	return c.steps[first : end+1]
}

func (c course) firstOf(last int, after time.Time, from string) int {
	first, at := last, c.steps[last].from
	for n := last; n >= 0; n-- {
		d := c.steps[n]
		if !d.from.After(after) || at.Sub(d.to) > quiet {
			break
		}
		if c.triggers(d, from) {
			first, at = n, d.from
		}
	}
	return first
}

// partOf says what the time of a step counts as; empty where nothing waits for it.
func (c course) partOf(d doing) part {
	switch {
	case d.fencing():
		return partFencing
	case d.line.Operation == "":
		return ""
	case d.line.Resource != c.resource:
		return partFollowers
	}
	switch d.line.Operation {
	case "promote":
		return partPromote
	case "demote", "stop":
		return partStop
	case "start":
		return partStart
	case "notify":
		return partNotify
	}
	return ""
}

// spent puts the time from the first step to the end down to its parts.
func (c course) spent(steps []doing, to time.Time) []spentView {
	spent := []spentView{}
	from := steps[0].from
	var all []crm.Activity
	for _, d := range steps {
		end := d.to
		if d.begins && !d.ends {
			end = to
		}
		begin := d.from
		if d.fencing() && !d.begins {
			begin = lostBefore(steps, d) // the coordinator alone knows when it was asked for
		}
		if p := c.partOf(d); p != "" {
			all = append(all, crm.Activity{Part: string(p), From: begin, To: end})
		}
	}
	times := crm.Spend(all, parts, from, to, func(time.Time) string { return string(partPacemaker) })
	for _, name := range append(slices.Clone(parts), string(partPacemaker)) {
		if d := times[name]; d > 0 {
			spent = append(spent, spentView{part(name), d.Seconds()})
		}
	}
	slices.SortStableFunc(spent, func(a, b spentView) int { return int(b.Seconds*1000) - int(a.Seconds*1000) })
	return spent
}

func lostBefore(steps []doing, fencing doing) time.Time {
	for _, d := range steps {
		if d.line.Kind == crm.LogLost && d.line.Node == fencing.line.Node && d.from.Before(fencing.from) {
			return d.from
		}
	}
	return fencing.from
}

// what words a step. Notifications have no words: they are a part of the time.
func (c course) what(d doing) string {
	e := d.line
	switch {
	case d.said != "":
		return "says: " + d.said
	case d.event.kind == eventMoved:
		return "constraint " + d.event.text + " was made"
	case d.event.kind == eventFailed:
		return d.event.text + " of " + d.event.node + " failed"
	case d.event.kind != "":
		return d.event.cause(d.event.node)
	case e.Kind == crm.LogLost:
		return e.Node + " is lost: corosync hears nothing of it"
	case e.Kind == crm.LogFenced:
		return e.Node + " is fenced"
	case e.Kind == crm.LogFenceFailed:
		return "fencing of " + e.Node + " failed: " + e.Text
	case e.Kind == crm.LogFenceAsked:
		return "fencing of " + e.Node + " is asked for, without an answer yet"
	}
	return c.operationText(d)
}

func (c course) operationText(d doing) string {
	text := d.line.Operation
	if d.line.Resource != c.resource {
		text += " of " + d.line.Resource
	}
	switch {
	case !d.ends:
		return text + ", whose end is not in this log"
	case d.line.Code != 0 && d.line.Code != -1:
		text += fmt.Sprintf(" failed with %d", d.line.Code)
		if d.line.Text != "" {
			text += ": " + d.line.Text
		}
	}
	return text
}

// views are the steps to show: not the notifications, and of very many the first and the
// last ones.
func (c course) views(steps []doing) []stepView {
	views := []stepView{}
	var said []string
	for _, d := range steps {
		known := func(before string) bool { return strings.Contains(d.said, before) }
		if d.line.Operation == "notify" || d.said != "" && slices.ContainsFunc(said, known) {
			continue
		}
		if d.said != "" {
			said = append(said, d.said)
		}
		v := stepView{At: d.from, Node: d.line.Node, What: c.what(d)}
		if d.line.Kind == crm.LogFenceFailed && len(views) > 0 && views[len(views)-1].again(v, d) {
			continue
		}
		if d.said != "" {
			v.Node = c.node
		}
		if d.event.kind != "" {
			v.Node = d.event.node
		}
		if d.begins && d.ends && d.to.After(d.from) {
			seconds := d.to.Sub(d.from).Seconds()
			v.Seconds = &seconds
		}
		views = append(views, v)
	}
	return shortened(views)
}

// again counts a failure that repeats the one before: fence devices are tried again, and
// fail again.
func (v *stepView) again(next stepView, d doing) bool {
	if v.Node != next.Node || v.times == 0 && v.What != next.What || v.times > 0 && v.once != next.What {
		return false
	}
	if v.times == 0 {
		v.once, v.times = v.What, 1
	}
	v.times++
	seconds := d.to.Sub(v.At).Seconds()
	v.Seconds, v.What = &seconds, fmt.Sprintf("%s (%d times)", v.once, v.times)
	return true
}

// The most steps that are shown of one change: a fence device may fail for a night.
const (
	firstSteps = 15
	lastSteps  = 25
)

func shortened(views []stepView) []stepView {
	left := len(views) - firstSteps - lastSteps
	if left <= 1 {
		return views
	}
	gap := stepView{At: views[firstSteps].At, What: fmt.Sprintf("... and %d more", left)}
	return slices.Concat(views[:firstSteps], []stepView{gap}, views[firstSteps+left:])
}

// scoresAt are the promotion scores as they stood at a moment, as far as this log has
// them.
func (c course) scoresAt(at time.Time) map[string]int {
	scores := map[string]int{}
	for _, h := range c.scores {
		if h.at.Before(at) {
			scores[h.score.node] = h.score.score
		}
	}
	return scores
}
