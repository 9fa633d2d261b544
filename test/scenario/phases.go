package scenario

import (
	"context"
	"regexp"
	"strings"
	"time"

	"pgsqlms/internal/crm"
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

// of is the phase that a line tells of; nil for none. victim is the lost node.
func (p *Phases) of(e crm.LogEvent, victim string) *time.Time {
	ended := e.Kind == crm.LogEnded && e.Code == 0
	switch {
	case e.Kind == crm.LogLost && e.Node == victim:
		return &p.Lost
	case e.Kind == crm.LogFenceAsked && e.Node == victim:
		return &p.FenceAsked
	case e.Kind == crm.LogFenced && e.Node == victim:
		return &p.FenceTaken
	case ended && e.Operation == "promote" && e.Resource == lab.Resource:
		return &p.PromoteDone
	case ended && e.Operation == "start" && e.Resource == lab.VIPResource:
		return &p.VIPDone
	}
	return nil
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
	var reader crm.LogReader
	seen := map[*time.Time]bool{}
	for text := range strings.Lines(log) {
		at, ok := LogTime(text, since)
		if !ok || at.Before(since) {
			continue
		}
		e, found := reader.Read(text)
		known := p.of(e, victim)
		if !found || known == nil || seen[known] {
			continue
		}
		seen[known] = true
		if known.IsZero() || at.Before(*known) {
			*known = at
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
