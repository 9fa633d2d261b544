package faults

import (
	"bufio"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"pgsqlms/internal/wal"
	"pgsqlms/test/scenario"
)

// The logs that are read, by their paths in a node.
const (
	logPostgres  = "/var/log/postgresql/postgresql.log"
	logPacemaker = "/var/log/pacemaker/pacemaker.log"
)

// NodeLog is what a node's logs tell.
type NodeLog struct {
	Starts     []time.Time // postmasters
	Crashed    []time.Time // starts on data that were not shut down
	Restarts   []time.Time // of all processes by the postmaster itself, after one of them had crashed
	Promotions []Promotion
	Diverged   []string    // PostgreSQL's lines that say that it cannot follow
	Halves     []string    // those that say that it cannot read past a half received segment
	Down       []time.Time // recurring monitors that found nothing running where something should
	StaysDown  []string    // Pacemaker's word for why it has ended for good
	Votes      []Vote
	Failures   []Failure
}

// Promotion is the begin of a timeline.
type Promotion struct {
	At       time.Time
	Timeline wal.Timeline
}

// Vote is what a node said before a promotion about the WAL that it holds.
type Vote struct {
	At        time.Time
	Candidate bool // it was the one to be promoted
	Position  wal.Position
}

// Failure is an action of the agent that Pacemaker has as failed.
type Failure struct {
	At        time.Time
	Node      string
	Operation string
	Status    string // Pacemaker's word for the exit code
	Reason    string
}

func (f Failure) String() string {
	return fmt.Sprintf("%s on %s: %s (%s)", f.Operation, f.Node, f.Status, f.Reason)
}

// killedWord is what Pacemaker says itself of an action that was killed.
var killedWord = regexp.MustCompile(`^Resource agent interrupted by `)

// silent says that the agent gave no reason.
func (f Failure) silent() bool { return f.Reason == "" || killedWord.MatchString(f.Reason) }

// configured are the results that blame the configuration or the node, in Pacemaker's words for OCF's codes 2 to 6 and for an
// agent that is not there. They keep the instance off that node, or off all, until a person comes.
var configured = regexp.MustCompile(`(?i)^(invalid parameter|unimplemented feature|insufficient privileges|not installed|not configured)\b`)

// bans says that Pacemaker does not try again after it.
func (f Failure) bans() bool { return configured.MatchString(f.Status) }

// postgresRules say by which text of PostgreSQL's log a thing is known, and where it goes.
var postgresRules = []struct {
	pattern *regexp.Regexp
	take    func(n *NodeLog, at time.Time, match []string)
}{
	{regexp.MustCompile(`LOG:  starting PostgreSQL `),
		func(n *NodeLog, at time.Time, _ []string) { n.Starts = append(n.Starts, at) }},
	{regexp.MustCompile(`LOG:  database system was interrupted`),
		func(n *NodeLog, at time.Time, _ []string) { n.Crashed = append(n.Crashed, at) }},
	{regexp.MustCompile(`LOG:  all server processes terminated; reinitializing`),
		func(n *NodeLog, at time.Time, _ []string) { n.Restarts = append(n.Restarts, at) }},
	{regexp.MustCompile(`LOG:  selected new timeline ID: (\d+)`),
		func(n *NodeLog, at time.Time, m []string) {
			if t, err := wal.ParseTimeline(m[1]); err == nil {
				n.Promotions = append(n.Promotions, Promotion{At: at, Timeline: t})
			}
		}},
	{divergence,
		func(n *NodeLog, _ time.Time, m []string) { n.Diverged = append(n.Diverged, m[0]) }},
	{newTarget, func(n *NodeLog, _ time.Time, _ []string) {
		n.Diverged = slices.DeleteFunc(n.Diverged, startingPoint.MatchString)
	}},
	{halfSegment,
		func(n *NodeLog, _ time.Time, m []string) { n.Halves = append(n.Halves, m[0]) }},
}

// divergence is what PostgreSQL of a standby says when it has WAL that is not the primary's.
var divergence = regexp.MustCompile(`new timeline \d+ forked off current database system timeline.*` +
	`|requested timeline \d+ is not a child of this server's history.*` +
	`|highest timeline \d+ of the primary is behind recovery timeline \d+.*` +
	`|requested starting point \S+ on timeline \d+ is not in this server's history.*` +
	`|requested starting point \S+ is ahead of the WAL flush position of this server.*`)

// newTarget is what PostgreSQL says when it goes over to a timeline whose history has all that it has replayed. That it was
// refused before, on the old one, was no divergence: it had received the end of a record that the new primary has dropped.
var (
	newTarget     = regexp.MustCompile(`LOG:  new target timeline is \d+`)
	startingPoint = regexp.MustCompile(`^requested starting point \S+ on timeline \d+ is not in this server's history`)
)

// halfSegment is what PostgreSQL says at a start when it was ended while it received the first segment of a new timeline:
// the segment begins anew and is empty behind what has come, and PostgreSQL reads it before the complete one of the old
// timeline. That is no divergence, and no agent's to mend: https://postgr.es/m/CAGWv16+R5zH0orpRYHESXGdkL2HMXYjWJGR1BfpOMDGhhaZ6bg@mail.gmail.com
var halfSegment = regexp.MustCompile(`WAL location \S+ belongs to timeline \d+, but previous recovered WAL file came from timeline.*`)

// parsePostgres adds what PostgreSQL's log tells.
func (n *NodeLog) parsePostgres(text string) {
	for line := range strings.Lines(text) {
		at, ok := scenario.DatabaseTime(line)
		if !ok {
			continue
		}
		for _, rule := range postgresRules {
			if m := rule.pattern.FindStringSubmatch(line); m != nil {
				rule.take(n, at, m)
			}
		}
	}
}

var (
	voteLine = regexp.MustCompile(`pgsqlms\(\S+\)\[\d+\]:.*: (this node votes|.*this node is the candidate).*WAL up to ([0-9A-F]+/[0-9A-F]+) on timeline (\d+)`)
	// resultLine has the status up to the reason or the parts that the executor adds behind a bar.
	resultLine = regexp.MustCompile(`Result of (\S+) operation for pgsqld on (\S+): ([^(|]*(?:\(failed\))?)(.*)$`)
)

// fencedLine is what Pacemaker says on a node that is told that it was fenced just now. It ends then, and systemd leaves it
// down (exit status 100, see pacemaker.service): fencing that does not cut the power must not be undone. The word of a node
// that was frozen meanwhile comes late, to one that has started again since.
var (
	fencedLine = regexp.MustCompile(`We were allegedly just fenced by \S+ for [^\s!]+`)
	staysDown  = "Shutting down and staying down after fatal error"
)

// harmless are the results that are no failures. That nothing runs is no news to a probe, and for a recurring monitor it
// is a plain fact.
var harmless = regexp.MustCompile(`^(ok|promoted|not running|Cancelled|master|0|7|8)$`)

// parsePacemaker adds what Pacemaker's log tells, to which the agent writes as well. Its lines have no year: near is
// an instant less than half a year away.
func (n *NodeLog) parsePacemaker(text string, near time.Time) {
	var at time.Time // of the last line with milliseconds; the agent's own have whole seconds only
	fenced := ""
	lines := bufio.NewScanner(strings.NewReader(text))
	lines.Buffer(nil, 4<<20) // Pacemaker logs whole XML documents
	for lines.Scan() {
		line := lines.Text()
		if t, ok := scenario.LogTime(line, near); ok {
			at = t
		}
		if said := fencedLine.FindString(line); said != "" {
			fenced = said
		}
		if fenced != "" && strings.Contains(line, staysDown) {
			n.StaysDown, fenced = append(n.StaysDown, fenced), ""
		}
		if m := voteLine.FindStringSubmatch(line); m != nil {
			n.addVote(at, m)
		}
		if m := resultLine.FindStringSubmatch(line); m != nil {
			n.addResult(at, m)
		}
	}
}

func (n *NodeLog) addVote(at time.Time, m []string) {
	lsn, err := wal.ParseLSN(m[2])
	if err != nil {
		return
	}
	t, err := strconv.ParseUint(m[3], 10, 32)
	if err != nil {
		return
	}
	n.Votes = append(n.Votes, Vote{At: at, Candidate: strings.Contains(m[1], "candidate"),
		Position: wal.Position{Timeline: wal.Timeline(t), LSN: lsn}})
}

func (n *NodeLog) addResult(at time.Time, m []string) {
	status := strings.TrimSpace(m[3])
	if status == "not running" && m[1] == "monitor" {
		n.Down = append(n.Down, at)
	}
	if harmless.MatchString(status) {
		return
	}
	n.Failures = append(n.Failures, Failure{At: at, Operation: m[1], Node: m[2], Status: status, Reason: reasonIn(m[4])})
}

// reasonIn takes the reason out of what follows the status: "(reason) | CIB update 5, ...". A reason may have brackets.
func reasonIn(rest string) string {
	if i := strings.LastIndex(rest, "| "); i >= 0 {
		rest = rest[:i]
	}
	rest = strings.TrimSpace(rest)
	rest = strings.TrimPrefix(rest, "(")
	return strings.TrimSuffix(rest, ")")
}

// shift puts the times of a node whose clock is wrong right.
func (n *NodeLog) shift(by time.Duration) {
	for _, times := range [][]time.Time{n.Starts, n.Crashed, n.Restarts, n.Down} {
		for i := range times {
			times[i] = times[i].Add(by)
		}
	}
	for i := range n.Promotions {
		n.Promotions[i].At = n.Promotions[i].At.Add(by)
	}
	for i := range n.Votes {
		n.Votes[i].At = n.Votes[i].At.Add(by)
	}
	for i := range n.Failures {
		n.Failures[i].At = n.Failures[i].At.Add(by)
	}
}
