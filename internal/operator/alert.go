package operator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"pgsqlms/internal/command"
	"pgsqlms/internal/crm"
	"pgsqlms/internal/election"
	"pgsqlms/internal/ocf"
)

func alertCommand() verb {
	return verb{
		name:    "alert",
		purpose: "called by Pacemaker: when the primary's role has changed, run the administrator's hook",
		example: "pgsqlms alert --help               # it is no command to give; what to set up:\n" +
			"pcs alert create path=/usr/sbin/pgsqlms id=pgsqlms\n" +
			"pcs alert recipient add pgsqlms value=/usr/local/sbin/on-promotion   # docs/alerts.md\n",
		run: runAlert,
	}
}

// The variables with which Pacemaker runs an alert agent (Pacemaker Explained, "Alerts").
const (
	alertPrefix  = "CRM_alert_"
	alertVersion = alertPrefix + "version"
)

// IsAlert says whether Pacemaker runs the program as an alert agent: the path of one has
// no arguments, and an action of a resource agent has always one.
func IsAlert(args, env []string) bool {
	return len(args) == 0 && environ(env, alertVersion) != ""
}

// AlertArguments are those with which Run takes an alert.
func AlertArguments() []string { return []string{"alert"} }

const (
	// recordWait bounds the wait for the cluster's record to tell of a promotion. The new
	// primary's first monitor writes it, a second or so after the promotion.
	recordWait  = 8 * time.Second
	recordEvery = 200 * time.Millisecond

	// lastRecordWait bounds the last look at the record, just before the hook is run.
	lastRecordWait = 2 * time.Second

	// defaultHookTimeout stays, with all that is waited for before, below the 30 s after
	// which Pacemaker ends an alert agent that has no timeout of its own.
	defaultHookTimeout = 10 * time.Second
	mostHookTimeout    = time.Hour

	// hookTimeoutOption is the alert's instance attribute, which is a variable of its own
	// name in the environment.
	hookTimeoutOption = "hook_timeout"
)

// marksDir is where what was told is remembered. Pacemaker's directory is hacluster's, and
// nobody else writes to it.
const marksDir = "/var/lib/pacemaker/pgsqlms"

// event is what Pacemaker tells an alert agent.
type event struct {
	kind, task, resource, node string
	failed                     bool // the action did not end as it should
	hook                       string
	at                         time.Time
}

func eventOf(env []string, now time.Time) event {
	get := func(name string) string { return environ(env, alertPrefix+name) }
	e := event{kind: get("kind"), task: get("task"), resource: get("rsc"), node: get("node"), hook: get("recipient"), at: now}
	e.failed = get("status") != "0" || get("rc") != get("target_rc")
	seconds, err := strconv.ParseInt(get("timestamp_epoch"), 10, 64)
	if err == nil {
		micros, _ := strconv.ParseInt(get("timestamp_usec"), 10, 64)
		e.at = time.UnixMicro(seconds*1e6 + micros)
	}
	return e
}

// alerter answers one alert.
type alerter struct {
	surveyor
	logs  logs
	marks string
	log   *ocf.Logger
	wait  time.Duration // for the record
	top   string        // of the file system
	event
}

func runAlert(ctx context.Context, c *call) (ExitCode, error) {
	e := eventOf(c.Environ, c.now())
	switch {
	case e.kind == "":
		return ExitUsage, usagef("is called by Pacemaker, which tells it what has happened: docs/alerts.md")
	case e.kind != "resource" || e.task != "promote" || e.failed:
		return ExitWell, nil
	case c.uid() == 0:
		return ExitUsage, usagef("found root, expected hacluster, as which Pacemaker runs alert agents and their hooks")
	}
	s := newSurveyor(c)
	s.patient = true
	a := alerter{surveyor: s, logs: systemLogs(), marks: marksDir, wait: recordWait, top: "/", event: e}
	a.log = ocf.NewLogger(crm.AgentType, e.resource, c.Environ, c.Stderr, c.Terminal)
	defer a.log.Close()
	timeout, err := hookTimeout(environ(c.Environ, hookTimeoutOption))
	if err != nil {
		a.log.Warnf("alert: %v; taken is %s", err, defaultHookTimeout)
	}
	return a.answer(ctx, timeout), nil
}

func hookTimeout(text string) (time.Duration, error) {
	if text == "" {
		return defaultHookTimeout, nil
	}
	seconds, err := strconv.ParseUint(strings.TrimSuffix(text, "s"), 10, 32)
	timeout := time.Duration(seconds) * time.Second
	if err != nil || timeout == 0 || timeout > mostHookTimeout {
		return defaultHookTimeout, fmt.Errorf("option %s: found %q, expected a number of seconds from 1 to %d", hookTimeoutOption, text, int(mostHookTimeout.Seconds()))
	}
	return timeout, nil
}

// answer runs the hook for a promotion that has succeeded on this node, if it is one of
// this agent's resources, and nobody has run it for that promotion. All that goes wrong
// is logged here: nobody reads an alert agent's exit code.
func (a *alerter) answer(ctx context.Context, timeout time.Duration) ExitCode {
	cib, err := a.readCIB(ctx)
	if err != nil {
		a.log.Errorf("alert: whether the role of %s has changed cannot be told: %v; the hook %q is not run", a.event.resource, err, a.hook)
		return ExitUnknown
	}
	r, found := cib.Resource(a.event.resource)
	if !found {
		return ExitWell // of another agent
	}
	hook, err := checkedHook(a.hook, a.top)
	if err != nil {
		a.log.Errorf("alert: the hook is not run: %v", err)
		return ExitWrong
	}
	change, by := a.await(ctx, cib, r)
	if by != "" {
		return a.pass(hook, change, by)
	}
	if first, err := a.markOnce(ctx, hook, change); err != nil {
		a.log.Errorf("alert: the hook %s is not run: that it was cannot be noted down: %v", hook, err)
		return ExitUnknown
	} else if !first {
		a.log.Infof("alert: %s has been told of the %s already", hook, change)
		return ExitWell
	}
	if by := a.lastLook(ctx, change); by != "" {
		return a.pass(hook, change, by)
	}
	return a.run(ctx, hook, change, timeout)
}

// pass runs nothing: another alert, on the node by which this promotion was overtaken, tells
// the hook of that one, or has already, and nobody may hear of this one after it.
func (a *alerter) pass(hook string, c roleChange, by string) ExitCode {
	a.log.Infof("alert: the %s is superseded: %s is the primary since; %s is not run", c, by, hook)
	return ExitWell
}

func (a *alerter) readCIB(ctx context.Context) (crm.CIB, error) {
	ctx, cancel := context.WithTimeout(ctx, a.toolWait())
	defer cancel()
	return a.crm.CIB(ctx)
}

// roleChange is what the hook is told.
type roleChange struct {
	cluster, resource string
	from, to          string // from is empty where there was no primary, or none is known
	timeline, lsn     string // empty where they are not known
	at                time.Time
	serial            uint64   // of the record when it last told of this promotion; 0 if it has not
	ended             bool     // the record has told of the promotion's end
	ids               []string // of this promotion: by the event that told of it, and by the record where that is known
}

// String names it for the log.
func (c roleChange) String() string {
	text := "promotion of " + c.to
	if c.from != "" {
		text += " after " + c.from
	}
	if c.timeline != "" {
		text += ", timeline " + c.timeline + " from " + c.lsn
	}
	return text
}

// await waits until the record tells of the promotion. Before it has ended, the record
// names the primary before; afterwards only the log does. by is another node that has become
// the primary since; empty mostly.
func (a *alerter) await(ctx context.Context, cib crm.CIB, r crm.Resource) (c roleChange, by string) {
	c = roleChange{cluster: cib.Properties["cluster-name"], resource: r.Name, to: a.node, at: a.at,
		ids: []string{eventID(a.node, a.at)}}
	event := c.ids
	ctx, cancel := context.WithTimeout(ctx, a.wait)
	defer cancel()
	text := cib.Record(r.Name)
	begun := false
	for {
		switch p := progressOf(text, a.node); {
		case p.ended:
			c.serial, c.ended = p.record.Serial, true
			c.timeline, c.lsn = p.record.History.Timeline.String(), p.record.History.Parent().End.String()
			c.ids = append(event, changeID(p.record.Serial, a.node))
			if !begun {
				c.from = a.fromLog(ctx, p.record)
			}
			return c, ""
		case p.begun:
			begun = true
			c.serial = p.record.Serial
			c.from, c.ids = p.record.Node, append(event, changeID(p.record.Serial+1, a.node))
		case text == "":
			begun = true // the first promotion: there was no primary
		default:
			if by = a.overtaken(ctx, c, p.record); by != "" {
				return c, by
			}
		}
		select {
		case <-ctx.Done():
			a.log.Warnf("alert: the cluster's record does not tell of the %s within %s: the hook is not told the timeline", c, a.wait)
			return c, ""
		case <-time.After(recordEvery):
		}
		if now, _, err := a.crm.Property(ctx, r.Name); err == nil {
			text = now
		}
	}
}

// overtaken is the node that has become the primary since a promotion, given a record that
// does not name the promoted node; empty for none. A record that had told of the promotion
// has moved on when its serial is higher. One that never has may be from before it, as that
// of a cluster that was put together again: there Pacemaker's word counts.
func (a *alerter) overtaken(ctx context.Context, c roleChange, r election.Record) string {
	if r.Node == "" || r.Node == c.to {
		return ""
	}
	if c.serial != 0 {
		if r.Serial > c.serial {
			return r.Node
		}
		return ""
	}
	state, err := a.crm.State(ctx)
	primaries := state.Primaries(c.resource)
	if err != nil || len(primaries) == 0 || slices.Contains(primaries, c.to) {
		return ""
	}
	return strings.Join(primaries, ", ")
}

// lastLook reads the record once more: the wait for it, or for another alert, may have taken
// seconds.
func (a *alerter) lastLook(ctx context.Context, c roleChange) (by string) {
	ctx, cancel := context.WithTimeout(ctx, lastRecordWait)
	defer cancel()
	text, _, err := a.crm.Property(ctx, c.resource)
	if p := progressOf(text, c.to); err == nil && !p.begun && !p.ended {
		return a.overtaken(ctx, c, p.record)
	}
	return ""
}

// eventID is that of the event that told of a promotion.
func eventID(node string, at time.Time) string {
	return fmt.Sprintf("node=%s at=%d", node, at.UnixMicro())
}

// isEventID tells it from a changeID; no node's name has a space in it.
func isEventID(id string) bool { return strings.Contains(id, " at=") }

// changeID is a promotion's own: every end of one counts the record's serial up.
func changeID(serial uint64, node string) string {
	return fmt.Sprintf("node=%s serial=%d", node, serial)
}

// promotionProgress is how far the record is with a node's promotion.
type promotionProgress struct {
	record       election.Record
	begun, ended bool
}

func progressOf(text, node string) (p promotionProgress) {
	r, err := election.ParseRecord(text)
	if err != nil {
		return p
	}
	p.record = r
	for _, next := range r.Next {
		p.begun = p.begun || next.Rule.Primary == node
	}
	p.ended = !p.begun && r.Node == node
	return p
}

// fromLog is the primary before, by this node's log: for an alert that comes after the
// first monitor of the new primary.
func (a *alerter) fromLog(ctx context.Context, r election.Record) string {
	f, err := surveyPast(ctx, a.surveyor, a.logs, time.Now())
	if err != nil {
		a.log.Warnf("alert: the primary before cannot be told: %v", err)
		return ""
	}
	for _, p := range history(f).Promotions {
		if p.To == r.Node && p.Timeline == r.History.Timeline {
			return p.From
		}
	}
	return ""
}

// environment is what the hook gets.
func (c roleChange) environment() []string {
	serial := ""
	if c.ended {
		serial = strconv.FormatUint(c.serial, 10)
	}
	return []string{
		"PGSQLMS_EVENT=promoted",
		"PGSQLMS_CLUSTER=" + c.cluster,
		"PGSQLMS_RESOURCE=" + c.resource,
		"PGSQLMS_OLD_PRIMARY=" + c.from,
		"PGSQLMS_NEW_PRIMARY=" + c.to,
		"PGSQLMS_TIMELINE=" + c.timeline,
		"PGSQLMS_LSN=" + c.lsn,
		"PGSQLMS_SERIAL=" + serial,
		"PGSQLMS_TIME=" + c.at.UTC().Format(time.RFC3339),
	}
}

// run runs the hook and logs how it ended.
func (a *alerter) run(ctx context.Context, hook string, c roleChange, timeout time.Duration) ExitCode {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	began := time.Now()
	result, err := command.Run(ctx, command.Cmd{Path: hook, Env: c.environment()})
	said := command.FirstLine(result.Stdout)
	if said == "" {
		said = command.FirstLine(result.Stderr)
	}
	text := fmt.Sprintf("alert: %s, of which %s was told", c, hook)
	switch took := durationText(time.Since(began)); {
	case errors.Is(err, context.DeadlineExceeded):
		a.log.Errorf("%s: it did not end within %s (%s) and was killed, with its process group", text, timeout, hookTimeoutOption)
		return ExitWrong
	case err != nil:
		a.log.Errorf("%s: %v", text, err)
		return ExitWrong
	case result.Code != 0:
		a.log.Errorf("%s: it ended with %d after %s: %s", text, result.Code, took, said)
		return ExitWrong
	default:
		a.log.Infof("%s: it ended with 0 after %s: %s", text, took, said)
	}
	return ExitWell
}
