package operator

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"pgsqlms/internal/crm"
)

// explainAll makes the view. It does no input and output. asked is the node in question;
// empty for all.
func explainAll(f pastSurvey, asked string, last int) explainView {
	v := explainView{
		Taken: f.taken, AskedOn: f.node, Resource: f.resource.Name, Asked: asked,
		Because: []remark{}, Nodes: []nodeVerdict{}, Changes: []changeView{}, Notes: []string{},
	}
	past := history(f)
	e := explainer{pastSurvey: f, v: assess(f.survey), past: past, course: courseOf(f)}
	v.Changes = e.changes()
	e.verdicts(&v)
	v.Changes = v.Changes[:min(last, len(v.Changes))]
	v.Log, v.Notes = past.Log, past.Notes
	return v
}

// explainer has what was found, and what status and history make of it.
type explainer struct {
	pastSurvey
	v      statusView
	past   historyView
	course course
}

// changes are those that the log tells of, and the promotions that history knows beside
// them, the latest first; before them the time since the last primary, while there is none.
func (e *explainer) changes() []changeView {
	changes := []changeView{}
	var after time.Time
	primary := ""
	for n, d := range e.course.steps {
		if !e.course.promoted(d) {
			continue
		}
		if p := e.begunBy(d); p != nil && p.From != "" {
			primary = p.From
		}
		steps := e.course.between(n, after, primary)
		after, primary = steps[len(steps)-1].to, d.line.Node
		changes = append(changes, e.change(d, steps))
	}
	for _, c := range e.unlogged(changes) {
		changes = append(changes, c)
		if c.Begun.After(after) {
			after, primary = *c.Begun, c.To
		}
	}
	slices.SortStableFunc(changes, func(a, b changeView) int { return a.Begun.Compare(*b.Begun) })
	if e.stateErr == nil && e.promoted() == "" {
		if open, found := e.unfinished(after, primary); found {
			changes = append(changes, open)
		}
	}
	slices.Reverse(changes)
	return changes
}

// unlogged are the promotions of which this log has nothing but the result: the node was
// down, or out of the cluster. One of which no record says who was promoted is left out: a
// history file alone has the time at which it came here.
func (e *explainer) unlogged(told []changeView) (changes []changeView) {
	for n := range e.past.Promotions {
		p := &e.past.Promotions[n]
		known := slices.ContainsFunc(told, func(c changeView) bool { return c.Timeline == p.Timeline })
		if known || p.To == "" || p.At == nil || p.Skipped || !p.Lineage || !e.covers(*p.At) {
			continue
		}
		where := "another node"
		if p.To != e.node {
			where = p.To
		}
		text := "what happened then: this node's log has nothing of it"
		if p.AtMost {
			text += ", the node heard of it at that time"
		}
		changes = append(changes, changeView{
			From: p.From, To: p.To, Timeline: p.Timeline, LSN: p.LSN, Reason: p.Reason, Begun: p.At,
			Spent: []spentView{}, Steps: []stepView{}, Why: []string{},
			Unknown: []remark{{Text: text, ToDo: "pgsqlms explain, on " + where}},
		})
	}
	return changes
}

// covers says whether the log goes back to a moment; before its begin nobody expects
// anything of it.
func (e *explainer) covers(at time.Time) bool {
	return len(e.course.steps) > 0 && !at.Before(e.course.steps[0].from)
}

// change is the view of one that ended with a promotion.
func (e *explainer) change(promotion doing, steps []doing) changeView {
	c := changeView{To: promotion.line.Node, Spent: []spentView{}, Steps: []stepView{}, Why: []string{}, Unknown: []remark{}}
	if p := e.begunBy(promotion); p != nil {
		c.From, c.Timeline, c.LSN, c.Reason = p.From, p.Timeline, p.LSN, p.Reason
	}
	end := steps[len(steps)-1].to
	c.Begun, c.Ended = &steps[0].from, &end
	c.Steps, c.Spent = e.course.views(steps), e.course.spent(steps, end)
	c.Scores = e.course.scoresAt(promotion.from)
	c.Why = e.whyThere(c, steps)
	e.addUnknown(&c, steps)
	return c
}

// begunBy is what history knows of a promotion: the nearest in time on that node, which
// has no nearer one itself.
func (e *explainer) begunBy(d doing) *promotionView {
	var nearest *promotionView
	for n := range e.past.Promotions {
		p := &e.past.Promotions[n]
		if p.At == nil || p.To != d.line.Node || p.Skipped || distance(d, *p.At) > afterPromote {
			continue
		}
		if nearest == nil || distance(d, *p.At) < distance(d, *nearest.At) {
			nearest = p
		}
	}
	for _, other := range e.course.steps {
		if nearest != nil && e.course.promoted(other) && other.line.Node == d.line.Node && distance(other, *nearest.At) < distance(d, *nearest.At) {
			return nil
		}
	}
	return nearest
}

func distance(d doing, at time.Time) time.Duration {
	switch {
	case at.Before(d.from):
		return d.from.Sub(at)
	case at.After(d.to):
		return at.Sub(d.to)
	}
	return 0
}

// unfinished is the time from the first sign of trouble after the last promotion until
// now. primary is who was promoted then.
func (e *explainer) unfinished(after time.Time, primary string) (changeView, bool) {
	steps := e.course.steps
	last := len(steps) - 1
	for last >= 0 && !e.course.triggers(steps[last], "") {
		last--
	}
	if last < 0 || !steps[last].from.After(after) {
		return changeView{}, false
	}
	found := e.course.between(last, after, primary)
	c := changeView{Begun: &found[0].from, Steps: e.course.views(found), Spent: e.course.spent(found, e.taken), Why: []string{}}
	c.Scores = e.course.scoresAt(e.taken)
	e.addUnknown(&c, found)
	return c, true
}

// whyThere is by what the role went to that node: a constraint, the votes, the scores.
func (e *explainer) whyThere(c changeView, steps []doing) []string {
	why := []string{}
	if strings.HasPrefix(c.Reason, "moved by constraint ") {
		why = append(why, "a constraint asked for it ("+strings.TrimPrefix(c.Reason, "moved by constraint ")+"), as crm_resource --move and --ban make them")
	}
	if c.From == c.To && c.To != "" {
		why = append(why, "it was the primary, and Pacemaker recovers one where it is, unless it has failed too often (migration-threshold)")
	}
	for _, d := range steps {
		switch {
		case strings.Contains(d.said, " holds the most WAL of "), strings.Contains(d.said, " alone votes, "),
			strings.Contains(d.said, "stepping aside before"), strings.Contains(d.said, "promoting it instead"):
			why = append(why, "by the votes: "+d.said)
		}
	}
	if len(c.Scores) > 1 {
		why = append(why, "promotion scores before it: "+scoresText(c.Scores))
	}
	return slices.Compact(why)
}

func scoresText(scores map[string]int) string {
	var nodes, texts []string
	for node := range scores {
		nodes = append(nodes, node)
	}
	slices.SortFunc(nodes, func(a, b string) int {
		if scores[a] != scores[b] {
			return scores[b] - scores[a]
		}
		return strings.Compare(a, b)
	})
	for _, node := range nodes {
		texts = append(texts, fmt.Sprintf("%s %s", node, scoreText(scores[node])))
	}
	return strings.Join(texts, ", ")
}

// addUnknown names what other nodes' logs have, or none.
func (e *explainer) addUnknown(c *changeView, steps []doing) {
	unknown := []remark{}
	has := func(is func(doing) bool) bool { return slices.ContainsFunc(steps, is) }
	lost := has(func(d doing) bool { return d.line.Kind == crm.LogLost })
	monitored := has(func(d doing) bool { return d.event.kind == eventFailed && d.event.text == "monitor" })
	switch {
	case lost:
		unknown = append(unknown, remark{Text: "when the node really went: it is noticed after corosync's token timeout, which is not in the times above",
			ToDo: "corosync-cmapctl runtime.config.totem.token"})
	case monitored:
		unknown = append(unknown, remark{Text: "when PostgreSQL really went down: it is noticed by the next monitor; PostgreSQL's log on " + orUnknown(c.From, false) + " has the time"})
	}
	if at, found := e.hole(steps); found {
		c.AtLeast = true
		unknown = append(unknown, remark{Text: "what happened while Pacemaker was down on this node: it was started at " + timeText(at),
			ToDo: "pgsqlms explain, on another node"})
	}
	fenced := has(func(d doing) bool { return d.fencing() && !d.begins })
	asked := has(func(d doing) bool { return d.fencing() && d.begins })
	if fenced && !asked {
		unknown = append(unknown, remark{Text: "when the fencing was asked for: the log of the node that coordinated the cluster has it",
			ToDo: "pgsqlms explain, on " + e.coordinators()})
	}
	voted := has(func(d doing) bool { return strings.Contains(d.said, "this node is the candidate") })
	if c.To != "" && c.To != e.node && !voted {
		unknown = append(unknown, remark{Node: "", Text: "what the votes were, and how long PostgreSQL itself took: the logs of " + c.To + " have it",
			ToDo: "pgsqlms explain, on " + c.To})
	}
	c.Unknown = unknown
}

// hole is the end of one in this node's log that has a part of these steps, or what led to
// them.
func (e *explainer) hole(steps []doing) (time.Time, bool) {
	since := steps[0].from
	if d := steps[0]; d.event.kind == "" && d.line.Kind != crm.LogLost && !d.fencing() {
		since = since.Add(-around)
	}
	for _, at := range e.course.starts {
		before := slices.ContainsFunc(e.course.steps, func(d doing) bool { return d.from.Before(at) })
		if before && at.After(since) && at.Before(steps[len(steps)-1].to) {
			return at, true
		}
	}
	return time.Time{}, false
}

func (e *explainer) coordinators() string {
	if e.state.DC != "" && e.state.DC != e.node {
		return e.state.DC
	}
	return "the other nodes"
}
