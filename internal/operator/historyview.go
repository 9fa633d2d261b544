package operator

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"pgsqlms/internal/crm"
	"pgsqlms/internal/election"
	"pgsqlms/internal/pg"
	"pgsqlms/internal/wal"
)

// historyView is what `pgsqlms history` shows, and its JSON.
type historyView struct {
	AskedOn    string          `json:"asked_on"`
	Resource   string          `json:"resource"`
	Promotions []promotionView `json:"promotions"` // the oldest first
	Log        *logSpan        `json:"log"`        // null: no log could be read
	Notes      []string        `json:"notes"`      // what could not be read, and why
}

// promotionView is a promotion: a timeline that was begun.
type promotionView struct {
	At        *time.Time   `json:"time"`
	AtMost    bool         `json:"time_is_a_bound"` // it was then or before: when this node heard of it
	From      string       `json:"from,omitempty"`  // the primary before, empty if not known
	To        string       `json:"to,omitempty"`    // who was promoted, empty if not known
	Timeline  wal.Timeline `json:"timeline"`
	Parent    wal.Timeline `json:"parent,omitempty"` // which it goes on from
	LSN       string       `json:"lsn,omitempty"`    // where it left that one
	Reason    string       `json:"reason,omitempty"`
	LostBytes *uint64      `json:"wal_lost_bytes"` // of the old primary's log that the new one did not have; null if not known
	LostOn    string       `json:"wal_lost_on,omitempty"`
	Settled   bool         `json:"acknowledged_commits_kept"` // false: not known here
	Lineage   bool         `json:"in_the_clusters_history"`
	Skipped   bool         `json:"skipped,omitempty"` // never begun here: the number was left out, as another node may have begun it
}

// pastSurvey is what the sources of the history have.
type pastSurvey struct {
	survey
	files      []pg.HistoryFile
	filesErr   error
	events     []logEvent // in the order of their times
	span       logSpan
	happenings []happening // as they stand in the log
	logErr     error
}

// beginning is where a timeline left its parent.
type beginning struct {
	timeline wal.Timeline
	parent   wal.Ancestor
}

// promotion is one on the way to its view.
type promotion struct {
	beginning
	node          string    // who was promoted
	from          string    // the primary before
	begun         time.Time // when the promotion was noted in the record
	done          time.Time // when the action promote had succeeded
	heard         time.Time // when it was known on this node, at the latest
	lost          *uint64
	lostOn        string
	settled       bool
	kind          string
	skipped       bool
	intoTheRecord bool // it is told by a record, so it was the cluster's
}

// when is the best there is.
func (p promotion) when() time.Time {
	for _, t := range []time.Time{p.begun, p.done, p.heard} {
		if !t.IsZero() {
			return t
		}
	}
	return time.Time{}
}

// past puts the sources together.
type past struct {
	pastSurvey
	found map[beginning]*promotion
}

// history makes the view. It does no input and output.
func history(f pastSurvey) historyView {
	p := past{pastSurvey: f, found: map[beginning]*promotion{}}
	p.events = slices.Clone(f.events)
	p.fenceHistory()
	p.fromFiles()
	p.fromRecords()
	p.fromPacemaker()
	p.fromElections()
	all := p.inOrder()
	p.fillFrom(all)
	v := historyView{AskedOn: f.node, Resource: f.resource.Name, Promotions: []promotionView{}, Notes: []string{}}
	lineage := p.lineage()
	for n, one := range all {
		var before time.Time
		if n > 0 {
			before = all[n-1].when()
		}
		v.Promotions = append(v.Promotions, p.view(one, before, lineage))
	}
	p.notes(&v)
	return v
}

// fenceHistory takes the fencings that Pacemaker remembers, which the log of the node that
// was fenced has not.
func (p *past) fenceHistory() {
	for _, f := range p.state.Fencings {
		if f.Status == "success" && !f.Completed.IsZero() && (f.Action == "reboot" || f.Action == "off") {
			p.events = append(p.events, logEvent{at: f.Completed, kind: eventFenced, node: f.Target, text: f.Action})
		}
	}
	slices.SortStableFunc(p.events, func(a, b logEvent) int { return a.at.Compare(b.at) })
}

// at is the promotion that began so, new or not.
func (p *past) at(b beginning) *promotion {
	if p.found[b] == nil {
		p.found[b] = &promotion{beginning: b}
	}
	return p.found[b]
}

// each calls do for every timeline of a history, the oldest first, but the first one,
// which nobody was promoted for.
func each(h wal.History, do func(beginning)) {
	for n, a := range h.Ancestors {
		t := h.Timeline
		if n+1 < len(h.Ancestors) {
			t = h.Ancestors[n+1].Timeline
		}
		do(beginning{t, a})
	}
}

// fromFiles takes the local timeline histories: what happened, at which LSN. Their times
// are bounds.
func (p *past) fromFiles() {
	for _, f := range p.files {
		if f.Err != nil {
			continue
		}
		if f.Skipped {
			one := p.at(beginning{timeline: f.History.Timeline})
			one.skipped, one.heard = true, f.Modified
			continue
		}
		each(f.History, func(b beginning) { p.at(b) })
		one := p.at(beginning{f.History.Timeline, f.History.Parent()})
		one.heard = f.Modified
	}
}

// fromRecords takes the record as it is, and as the logs have it from then on.
func (p *past) fromRecords() {
	type note struct {
		attempt election.Attempt
		from    string
		at      time.Time
	}
	var begun []note
	for _, e := range p.events {
		if e.kind != eventRecord {
			continue
		}
		for _, next := range e.record.Next {
			if !slices.ContainsFunc(begun, func(n note) bool { return sameAttempt(n.attempt, next) }) {
				begun = append(begun, note{next, e.record.Node, e.at})
			}
		}
		one := p.recorded(e.record)
		if one == nil || !one.heard.IsZero() && one.heard.Before(e.at) {
			continue
		}
		one.heard = e.at
	}
	if r, err := election.ParseRecord(p.cib.Record(p.resource.Name)); err == nil {
		p.recorded(r)
	}
	for _, n := range begun {
		for _, one := range p.found {
			if one.node == n.attempt.Rule.Primary && one.parent.Timeline == n.attempt.At.Timeline && one.parent.End <= n.attempt.At.LSN {
				one.begun, one.from = n.at, n.from
			}
		}
	}
}

func sameAttempt(a, b election.Attempt) bool { return a.Rule.Primary == b.Rule.Primary && a.At == b.At }

// recorded notes whom a record names; nil for that of a cluster's first timeline.
func (p *past) recorded(r election.Record) *promotion {
	parent := r.History.Parent()
	if parent.Timeline == 0 {
		return nil
	}
	each(r.History, func(b beginning) { p.at(b).intoTheRecord = true })
	one := p.at(beginning{r.History.Timeline, parent})
	one.node = r.Node
	return one
}

// fromPacemaker takes when the action promote has succeeded: of the last one from the CIB,
// of this node's own from its log.
func (p *past) fromPacemaker() {
	done := map[string][]time.Time{}
	for _, e := range p.events {
		if e.kind == eventPromoted {
			done[e.node] = append(done[e.node], e.at)
		}
	}
	for _, node := range p.cib.NodeNames {
		if op, found := p.cib.Last(p.resource.Name, node, "promote"); found && op.Done && op.Code == 0 {
			done[node] = append(done[node], op.At)
		}
	}
	for _, one := range p.found {
		for _, at := range done[one.node] {
			// The record is written when it is done, or by the monitor that follows.
			late := one.heard.Sub(at)
			fits := late > -time.Second && late < afterPromote || one.heard.IsZero() && one.timeline == p.lineage().Timeline
			if fits && at.After(one.done) {
				one.done = at
			}
		}
	}
}

// afterPromote is longer than it takes from the end of the action promote to the record:
// the first monitor of a primary, some of whose interval.
const afterPromote = 90 * time.Second

// around is how long before its begin is noted an election may have been decided.
const around = 30 * time.Second

// fromElections takes what kind of promotion it was and what was lost, which the node that
// was promoted logs, and a diverged one when it comes back.
func (p *past) fromElections() {
	for _, one := range p.found {
		for _, e := range p.events {
			if lead := one.when().Sub(e.at); one.node == "" || one.begun.IsZero() && one.done.IsZero() || lead > around || lead < -around {
				continue
			}
			switch {
			case e.kind == eventKindOf && one.node == p.node:
				one.kind = e.text
			case e.kind == eventOutcome && e.node == one.node:
				one.settled = e.settled
				if e.bytes > 0 {
					one.lost = &e.bytes
				}
			}
		}
		for _, e := range p.divergences() {
			if e.left == (wal.Position{Timeline: one.parent.Timeline, LSN: one.parent.End}) {
				one.lost, one.lostOn = &e.bytes, e.node
			}
		}
	}
}

// divergences are those in the log of this node, and those that nodes show now.
func (p *past) divergences() (found []logEvent) {
	for _, e := range p.events {
		if e.kind == eventDiverged {
			e.node = p.node
			found = append(found, e)
		}
	}
	for _, node := range p.cib.NodeNames {
		if e, diverged := divergence(p.cib.Status(node, p.resource.Name)); diverged {
			e.node = node
			found = append(found, e)
		}
	}
	return found
}

// inOrder is by time where there is one, and by timeline.
func (p *past) inOrder() []*promotion {
	all := make([]*promotion, 0, len(p.found))
	for _, one := range p.found {
		all = append(all, one)
	}
	slices.SortFunc(all, func(a, b *promotion) int {
		return cmp.Or(cmp.Compare(a.timeline, b.timeline), cmp.Compare(a.parent.End, b.parent.End), cmp.Compare(a.parent.Timeline, b.parent.Timeline))
	})
	return all
}

// fillFrom names as the primary before whoever began the timeline before.
func (p *past) fillFrom(all []*promotion) {
	for _, one := range all {
		if one.from != "" {
			continue
		}
		var parents []string
		for _, other := range all {
			if other.timeline == one.parent.Timeline && other.node != "" && !slices.Contains(parents, other.node) {
				parents = append(parents, other.node)
			}
		}
		if len(parents) == 1 {
			one.from = parents[0]
		}
	}
}

// lineage is the cluster's own history, by its record, else by its newest file.
func (p *past) lineage() wal.History {
	if r, err := election.ParseRecord(p.cib.Record(p.resource.Name)); err == nil {
		return r.History
	}
	for _, f := range slices.Backward(p.files) {
		if f.Err == nil && !f.Skipped {
			return f.History
		}
	}
	return wal.History{}
}

func (p *past) view(one *promotion, before time.Time, lineage wal.History) promotionView {
	v := promotionView{
		At: known(one.when()), AtMost: one.begun.IsZero() && one.done.IsZero(), From: one.from, To: one.node, Timeline: one.timeline,
		Parent: one.parent.Timeline, LostBytes: one.lost, LostOn: one.lostOn, Settled: one.settled, Skipped: one.skipped,
	}
	if one.skipped {
		v.Reason = "number left out: another node may have it"
		return v
	}
	v.LSN = one.parent.End.String()
	end, shared := lineage.SwitchPoint(one.parent.Timeline)
	v.Lineage = shared && end == one.parent.End && (lineage.IsAncestor(one.timeline) || lineage.Timeline == one.timeline)
	v.Reason = p.reason(one, before)
	switch {
	case one.lost != nil:
	case one.node != "" && one.node == one.from, one.kind == election.Switchover.String():
		// It replayed its own log to the end, or has proved to hold all of the other's.
		v.LostBytes, v.Settled = new(uint64), true
	}
	return v
}

// lookBack is how long before a promotion its cause is looked for, where the promotion
// before is not known.
const lookBack = 15 * time.Minute

// reason is what happened to the primary before, between the promotion before and this
// one, by the logs; the last such word of the kind that tells most.
func (p *past) reason(one *promotion, before time.Time) string {
	told := p.told(one, before)
	stayed := one.node != "" && one.node == one.from
	if failed, found := told[eventFailed]; found && stayed {
		return fmt.Sprintf("%s of %s failed, recovered there", failed.text, one.from)
	}
	if stayed {
		return "recovered where it was"
	}
	for _, kind := range []eventKind{eventFenced, eventFailed, eventShutdown, eventStandby, eventMoved} {
		if e, found := told[kind]; found {
			return e.cause(one.from)
		}
	}
	if one.from == "" && one.kind == election.Failover.String() {
		return "there was no primary"
	}
	return one.kind
}

// told are the last events of each kind about the primary before.
func (p *past) told(one *promotion, before time.Time) map[eventKind]logEvent {
	told := map[eventKind]logEvent{}
	at := one.when()
	if earliest := at.Add(-lookBack); before.Before(earliest) {
		before = earliest
	}
	for _, e := range p.events {
		if e.at.After(before) && !e.at.After(at) && (e.node == "" || e.node == one.from) {
			told[e.kind] = e
		}
	}
	return told
}

// cause words an event as the reason for a promotion elsewhere.
func (e logEvent) cause(from string) string {
	switch e.kind {
	case eventFenced:
		return from + " was fenced"
	case eventFailed:
		return fmt.Sprintf("%s of %s failed", e.text, from)
	case eventShutdown:
		return from + " was shut down"
	case eventStandby:
		return from + " was put into standby mode"
	}
	return "moved by constraint " + e.text
}

func (p *past) notes(v *historyView) {
	add := func(format string, args ...any) { v.Notes = append(v.Notes, fmt.Sprintf(format, args...)) }
	if p.filesErr != nil {
		add("the timelines' history files on this node cannot be read: %v", p.filesErr)
	}
	for _, f := range p.files {
		if f.Err != nil {
			add("%s cannot be read: %v", f.History.Timeline.HistoryFile(), f.Err)
		}
	}
	if text := p.cib.Record(p.resource.Name); text != "" {
		if _, err := election.ParseRecord(text); err != nil {
			add("%v", err)
		}
	}
	if p.onDisk {
		add("Pacemaker does not answer on this node: the record is from this node's copy of the CIB in %s, which may be old", crm.CIBFile)
	}
	if p.span.Since != nil {
		v.Log = &p.span
	} else {
		why := ""
		if p.logErr != nil {
			why = fmt.Sprintf(" (%v)", first(p.logErr))
		}
		add("no log of Pacemaker could be read on this node%s, which would name the nodes and the reasons", why)
	}
	if p.logErr != nil && p.span.Since != nil {
		add("not all of the log could be read: %v", p.logErr)
	}
}
