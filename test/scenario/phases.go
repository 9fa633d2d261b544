package scenario

import (
	"context"
	"regexp"
	"strings"
	"time"

	"pgsqlms/test/lab"
)

const pacemakerLog = "/var/log/pacemaker/pacemaker.log"

// Phases are the steps of a node's loss, as Pacemaker logged them. A zero time was not found.
type Phases struct {
	Lost        time.Time // corosync took the node out of the membership
	FenceAsked  time.Time // the DC asked for it to be fenced
	FenceTaken  time.Time // the fencing was confirmed
	PromoteDone time.Time // somebody else's promotion had ended
	VIPDone     time.Time // the VIP's start had ended
}

// Fencing is the time from the DC's request until the fencing was confirmed.
func (p Phases) Fencing() time.Duration {
	if p.FenceAsked.IsZero() || p.FenceTaken.IsZero() {
		return 0
	}
	return p.FenceTaken.Sub(p.FenceAsked)
}

// phaseRules say by which line of the log a phase is known, NODE being the lost one. The wording is that of 2.0 to 3.0.
var phaseRules = []struct {
	pattern string
	field   func(*Phases) *time.Time
}{
	{`Node NODE state is now lost`, func(p *Phases) *time.Time { return &p.Lost }},
	{`Requesting fencing \(\w+\) (?:of|targeting) node NODE\b`, func(p *Phases) *time.Time { return &p.FenceAsked }},
	{`Operation '\w+' targeting NODE (?:on|by) .*: OK`, func(p *Phases) *time.Time { return &p.FenceTaken }},
	{`log_(?:executor|lrmd)_event.* Result of promote operation for ` + lab.Resource + ` .*: (?:ok|0)\b`, func(p *Phases) *time.Time { return &p.PromoteDone }},
	{`log_(?:executor|lrmd)_event.* Result of start operation for ` + lab.VIPResource + ` .*: (?:ok|0)\b`, func(p *Phases) *time.Time { return &p.VIPDone }},
}

// phasesOf reads the phases from the logs of the nodes that are left. They are in the clock that all nodes share.
func phasesOf(ctx context.Context, l *lab.Lab, victim string, since time.Time) Phases {
	var p Phases
	for _, node := range l.Nodes() {
		if node.Name == victim || ctx.Err() != nil {
			continue
		}
		if text, err := l.ReadFile(node.Name, pacemakerLog); err == nil {
			p.read(string(text), victim, since)
		}
	}
	return p
}

// read takes the first line of each kind that is not older than since, and earlier than what is known.
func (p *Phases) read(log, victim string, since time.Time) {
	for _, rule := range phaseRules {
		line := regexp.MustCompile(strings.ReplaceAll(rule.pattern, "NODE", regexp.QuoteMeta(victim)))
		known := rule.field(p)
		for text := range strings.Lines(log) {
			at, ok := LogTime(text, since)
			if !ok || at.Before(since) || !line.MatchString(text) {
				continue
			}
			if known.IsZero() || at.Before(*known) {
				*known = at
			}
			break
		}
	}
}

// LogTime reads the time that a line of Pacemaker's log begins with. It has no year and no zone: the nodes' clock is UTC.
func LogTime(line string, near time.Time) (time.Time, bool) {
	const layout = "Jan _2 15:04:05.000"
	if len(line) < len(layout) {
		return time.Time{}, false
	}
	at, err := time.Parse(layout, line[:len(layout)])
	if err != nil {
		return time.Time{}, false
	}
	at = at.AddDate(near.UTC().Year(), 0, 0)
	if at.Before(near.AddDate(0, -6, 0)) { // over New Year
		at = at.AddDate(1, 0, 0)
	}
	return at, true
}

// healthyPrimary is how a recurring monitor's first good answer from a primary is logged. Its later ones are not.
var healthyPrimary = regexp.MustCompile(`Result of monitor operation for ` + lab.Resource + ` on \S+: (?:promoted|master|8)\b`)

// MonitoredSince tells when the primary's recurring monitor ran for the first time since it was scheduled. It runs again
// after every interval.
func MonitoredSince(l *lab.Lab, primary string) (time.Time, bool) {
	text, err := l.ReadFile(primary, pacemakerLog)
	if err != nil {
		return time.Time{}, false
	}
	return lastHealthy(string(text), time.Now())
}

func lastHealthy(log string, near time.Time) (last time.Time, found bool) {
	for line := range strings.Lines(log) {
		if !healthyPrimary.MatchString(line) {
			continue
		}
		if at, ok := LogTime(line, near); ok {
			last, found = at, true
		}
	}
	return last, found
}
