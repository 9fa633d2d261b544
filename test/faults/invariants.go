package faults

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"pgsqlms/internal/wal"
	"pgsqlms/test/scenario"
	"pgsqlms/test/writer"
)

// checks are the invariants, each a function of the evidence and of what the scenario allows.
var checks = map[Invariant]func(Evidence, Allowance, *Finding){
	I1: nothingLost, I2: onePrimary, I3: bestPromoted, I4: divergedSeen,
	I5: wholeAgain, I6: inTime, I7: nothingNeedless, I8: reasonsGiven,
}

// Check holds the evidence against all invariants.
func Check(e Evidence, a Allowance) []Finding {
	var findings []Finding
	for _, i := range Invariants {
		f := Finding{Invariant: i}
		checks[i](e, a, &f)
		for _, b := range e.Found {
			if b.Invariant == i {
				f.Breaches = append(f.Breaches, b)
			}
		}
		findings = append(findings, f)
	}
	compared(e, findings)
	return findings
}

// compared makes it a breach of I4 that a node was not compared, where nothing else was wrong that explains it: all nodes
// stream then.
func compared(e Evidence, findings []Finding) {
	if len(e.Unread) == 0 || slices.ContainsFunc(findings, func(f Finding) bool { return len(f.Breaches) > 0 }) {
		return
	}
	i := slices.IndexFunc(findings, func(f Finding) bool { return f.Invariant == I4 })
	findings[i].breach("not all nodes could be compared: %s", strings.Join(e.Unread, "; "))
}

// nothingLost is I1. A row whose answer never came, or came with a warning, is in doubt: neither way is a fault.
func nothingLost(e Evidence, a Allowance, f *Finding) {
	if e.Stored == nil {
		f.Figure = "not known"
		if e.After != "" { // without a primary there is nothing to read, and other breaches say so
			f.breach("what the table holds afterwards could not be read")
		}
		return
	}
	v := writer.Judge(e.All, e.Stored)
	f.Figure = fmt.Sprintf("%d lost of %d, %d in doubt", len(v.Lost), v.Acknowledged, v.InDoubt)
	if len(v.Lost) > 0 && (e.Mode == Sync || !a.AsyncLoss) {
		f.breach("%d of %d acknowledged rows are lost: %s", len(v.Lost), v.Acknowledged, scenario.Some(v.Lost))
	}
	if own := lostByItself(e, v.Lost); len(own) > 0 && e.Mode != Sync && a.AsyncLoss {
		f.breach("%d rows are lost that %s has acknowledged since it is the primary, which no failover explains: %s", len(own), e.After, scenario.Some(own))
	}
	if len(v.Phantom) > 0 {
		f.breach("%d refused rows are in the table: %s", len(v.Phantom), scenario.Some(v.Phantom))
	}
}

// lostByItself are those of the lost rows, in order, that the primary of afterwards has acknowledged in its last reign: after the last
// acknowledgement of any other node. Asynchronous replication loses what the node before had not sent; here there is none.
func lostByItself(e Evidence, lost []int64) []int64 {
	last := time.Duration(-1) // whatever is answered later was by that primary
	for _, a := range e.All.Attempts {
		if a.Kind == writer.Acknowledged && a.Node != e.After {
			last = max(last, a.Answered)
		}
	}
	var own []int64
	for _, a := range e.All.Attempts {
		if _, is := slices.BinarySearch(lost, a.ID); is && a.Answered > last {
			own = append(own, a.ID)
		}
	}
	slices.Sort(own)
	return own
}

// onePrimary is I2. Acknowledgements that overlap show two primaries at once; a node that begins to acknowledge more often than
// it was promoted is an old primary that went on.
func onePrimary(e Evidence, a Allowance, f *Finding) {
	overlaps := writer.Overlaps(e.All)
	f.Figure = fmt.Sprintf("%d overlapping", len(overlaps))
	if len(overlaps) > 0 {
		o := overlaps[0]
		f.breach("%d pairs of acknowledgements from two nodes overlap; first: %s", len(overlaps), pair(o))
	}
	reigns := writer.Reigns(e.All)
	if self := begunUnpromoted(reigns, e.Logs); len(self) > 0 {
		f.breach("began to acknowledge without a promotion: %s; in turn: %v", strings.Join(self, ", "), reigns)
	}
	if a.FencedFirst != "" {
		fencedFirst(e, a.FencedFirst, f)
	}
}

// begunUnpromoted tells of the nodes that began more reigns than they had promotions. The very first reign is the primary's of
// before. No times are compared: those of the logs are of other clocks than the writers'.
func begunUnpromoted(reigns []writer.Reign, logs map[string]NodeLog) []string {
	begun := map[string]int{}
	for _, r := range reigns[min(1, len(reigns)):] {
		begun[r.Node]++
	}
	var nodes []string
	for _, node := range slices.Sorted(maps.Keys(begun)) {
		if n := len(logs[node].Promotions); begun[node] > n {
			nodes = append(nodes, fmt.Sprintf("%s %d times, promoted %d", node, begun[node], n))
		}
	}
	return nodes
}

func pair(o writer.Overlap) string {
	one := func(a writer.Attempt) string {
		return fmt.Sprintf("id %d on %s from %.3f to %.3f s (writer %s)", a.ID, a.Node, a.Sent.Seconds(), a.Answered.Seconds(), a.Writer)
	}
	return one(o.A) + ", " + one(o.B)
}

// fencedFirst wants the fence device's word that a node is dead before any other is promoted.
func fencedFirst(e Evidence, victim string, f *Finding) {
	var dead time.Time
	for _, fencing := range e.Fencings {
		if fencing.Victim == victim && fencing.Error == "" {
			dead = fencing.Answered
			break
		}
	}
	for _, p := range allPromotions(e.Logs) {
		if p.node != victim && p.At.After(e.Fault) && (dead.IsZero() || p.At.Before(dead)) {
			f.breach("%s was promoted at %s, before %s was fenced (%s)", p.node, clock(p.At), victim, clock(dead))
		}
	}
}

func clock(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format("15:04:05.000")
}

// promotion is one with its node.
type promotion struct {
	Promotion
	node string
}

// allPromotions are those of all nodes, in the order of time.
func allPromotions(logs map[string]NodeLog) []promotion {
	var all []promotion
	for _, node := range slices.Sorted(maps.Keys(logs)) {
		for _, p := range logs[node].Promotions {
			all = append(all, promotion{p, node})
		}
	}
	slices.SortStableFunc(all, func(a, b promotion) int { return a.At.Compare(b.At) })
	return all
}

// bestPromoted is I3: before each promotion, no other node has voted with more WAL than the one that was promoted.
func bestPromoted(e Evidence, a Allowance, f *Finding) {
	elections := 0
	var before time.Time
	var left []wal.Position // where the promotions of before left their timelines
	were := []string{e.Before}
	for _, p := range allPromotions(e.Logs) {
		if slices.Contains(a.Forked, p.node) {
			f.breach("%s was promoted, which is on a timeline that is not the cluster's", p.node)
		}
		if mine, ok := candidacy(e.Logs[p.node], before, p.At); ok {
			others := votesAgainst(e.Logs, a.Forked, p, before)
			maps.DeleteFunc(others, func(node string, v Vote) bool { return slices.Contains(were, node) && v.beyond(left) })
			if len(others) > 0 {
				elections++
				compare(p, mine, others, f)
			}
			left = append(left, mine.Position)
		}
		were = append(were, p.node)
		before = p.At
	}
	f.Figure = fmt.Sprintf("%d elections", elections)
	if len(f.Breaches) > 0 {
		f.Figure += fmt.Sprintf(", %d wrong", len(f.Breaches))
	}
}

// beyond says whether a node that was a primary voted with what lies behind a place where its timeline was left, as one does that
// comes back with WAL which nobody had: it is not on the cluster's history, although its timeline is.
func (v Vote) beyond(left []wal.Position) bool {
	return slices.ContainsFunc(left, func(at wal.Position) bool {
		return v.Position.Timeline == at.Timeline && v.Position.LSN > at.LSN
	})
}

func compare(p promotion, mine Vote, others map[string]Vote, f *Finding) {
	for _, node := range slices.Sorted(maps.Keys(others)) {
		if v := others[node]; v.Position.Compare(mine.Position) > 0 {
			f.breach("%s was promoted at %s with WAL up to %s on timeline %d, and %s had voted with %s on timeline %d", p.node,
				clock(p.At), mine.Position.LSN, mine.Position.Timeline, node, v.Position.LSN, v.Position.Timeline)
		}
	}
}

// candidacy is the last word of a node about itself before it was promoted.
func candidacy(n NodeLog, after, until time.Time) (found Vote, ok bool) {
	for _, v := range n.Votes {
		if v.Candidate && v.At.After(after) && !v.At.After(until) {
			found, ok = v, true
		}
	}
	return found, ok
}

// votesAgainst are the last votes of the other nodes between the promotion before and this one.
func votesAgainst(logs map[string]NodeLog, forked []string, p promotion, before time.Time) map[string]Vote {
	votes := map[string]Vote{}
	for node, log := range logs {
		if node == p.node || slices.Contains(forked, node) {
			continue
		}
		for _, v := range log.Votes {
			if !v.Candidate && v.At.After(before) && !v.At.After(p.At) {
				votes[node] = v
			}
		}
	}
	return votes
}

// divergedSeen is I4: who streams holds what the primary holds, and who cannot is seen and never electable.
func divergedSeen(e Evidence, _ Allowance, f *Finding) {
	halves := 0
	for _, d := range e.Diverged {
		if d.half() {
			halves++
		}
	}
	f.Figure = fmt.Sprintf("%d alike, %d diverged", len(e.Copies), len(e.Diverged)-halves)
	if halves > 0 {
		f.Figure += fmt.Sprintf(", %d on half a segment", halves)
	}
	if len(e.Unread) > 0 {
		f.Figure += fmt.Sprintf(", %d not compared", len(e.Unread))
	}
	for i, c := range e.Copies {
		if i > 0 && !sameAs(e.Copies[0], c) {
			f.breach("%s streams from %s and holds something else: %d rows (%s), the primary %d (%s); the histories of the timeline are %q and %q",
				c.Node, e.Copies[0].Node, c.Rows, c.Sum, e.Copies[0].Rows, e.Copies[0].Sum, c.History, e.Copies[0].History)
		}
	}
	for _, d := range e.Diverged {
		if score, err := strconv.Atoi(d.Score); d.Score != "" && (err != nil || score >= 0) {
			f.breach("%s %s (%s), and its promotion score is %s", d.Node, d.what(), d.Said, d.Score)
		}
		if d.Shown == "" {
			f.breach("%s %s (%s), and nothing in the cluster's status says so", d.Node, d.what(), d.Said)
		}
		if d.Serves {
			f.breach("%s %s and still serves (%s)", d.Node, d.what(), d.Said)
		}
	}
}

func sameAs(a, b Copy) bool { return a.Rows == b.Rows && a.Sum == b.Sum && a.History == b.History }

// wholeAgain is I5. A node whose data do not allow it is no breach, where the scenario says that it may come to that.
func wholeAgain(e Evidence, a Allowance, f *Finding) {
	f.Figure = "all streamed"
	if len(e.Diverged) > 0 {
		f.Figure = fmt.Sprintf("%d rebuilt", len(e.Diverged))
	}
	if e.Started > 0 {
		f.Figure += fmt.Sprintf(", Pacemaker started by hand on %d", e.Started)
		if !e.Frozen {
			f.breach("Pacemaker ended for good on %d of the nodes and was started by hand, which nothing in this scenario explains", e.Started)
		}
	}
	switch {
	case e.WholeErr != "":
		f.Figure = "not whole"
		f.breach("%s", e.WholeErr)
	case e.Ended:
		f.Figure = "not waited for"
	}
	for _, d := range e.Diverged {
		if !slices.Contains(a.Diverging, d.Node) && !d.half() {
			f.breach("%s cannot follow any more (%s), which nothing in this scenario explains", d.Node, d.Said)
		}
	}
}

// underWay is how long a writer's last attempt may have been under way when the writers were stopped: connecting and
// writing have 300 ms each, on a busy machine a little more.
const underWay = 2 * time.Second

// inTime is I6.
func inTime(e Evidence, a Allowance, f *Finding) {
	gap := writer.WriteGap(e.VIP, e.VIP.At(e.Fault))
	f.Figure = fmt.Sprintf("gap %.1f of %.0f s, whole %.1f of %.0f s", gap.Length().Seconds(), a.Serve.Seconds(), e.Whole.Seconds(), a.Whole.Seconds())
	switch {
	case gap.Open && !e.Ended && gap.Length() > underWay:
		f.breach("no write was acknowledged any more, for %.1f s until the end", gap.Length().Seconds())
	case gap.Length() > a.Serve:
		f.breach("nobody could write for %.1f s, more than %.0f s", gap.Length().Seconds(), a.Serve.Seconds())
	}
	if e.WholeErr == "" && e.Whole > a.Whole {
		f.breach("all nodes streamed after %.1f s, more than %.0f s", e.Whole.Seconds(), a.Whole.Seconds())
	}
}

// nothingNeedless is I7.
func nothingNeedless(e Evidence, a Allowance, f *Finding) {
	promotions := allPromotions(e.Logs)
	starts, fencings := map[string]int{}, map[string]int{}
	for node, log := range e.Logs {
		starts[node] = len(log.Starts)
		if most := a.recoveries()[node]; len(log.Crashed) > most {
			f.breach("PostgreSQL of %s went through crash recovery %d times, not %s", node, len(log.Crashed), atMost(most))
		}
	}
	for _, fencing := range e.Fencings {
		if fencing.Error == "" {
			fencings[fencing.Victim]++
		}
	}
	f.Figure = fmt.Sprintf("%d timelines, starts%s, fencings%s", len(promotions), counts(starts), counts(fencings))
	if n := len(promotions); n < a.Promotions.Min || n > a.Promotions.Max {
		f.breach("%d promotions, expected %s", n, a.Promotions)
	}
	for _, node := range slices.Sorted(maps.Keys(starts)) {
		if starts[node] > a.Starts[node] {
			f.breach("PostgreSQL of %s was started %d times, not %s", node, starts[node], atMost(a.Starts[node]))
		}
	}
	for _, node := range slices.Sorted(maps.Keys(fencings)) {
		if fencings[node] > a.Fencings[node] {
			f.breach("%s was fenced %d times, not %s", node, fencings[node], atMost(a.Fencings[node]))
		}
	}
}

func (a Allowance) recoveries() map[string]int {
	if a.Recoveries != nil {
		return a.Recoveries
	}
	return a.Starts
}

func atMost(n int) string {
	if n == 0 {
		return "at all"
	}
	return fmt.Sprintf("at most %d", n)
}

func (r Range) String() string {
	if r.Min == r.Max {
		return fmt.Sprint(r.Min)
	}
	return fmt.Sprintf("%d to %d", r.Min, r.Max)
}

// counts prints those that are not zero.
func counts(m map[string]int) string {
	text := ""
	for _, name := range slices.Sorted(maps.Keys(m)) {
		if m[name] > 0 {
			text += fmt.Sprintf(" %s:%d", name, m[name])
		}
	}
	if text == "" {
		return " 0"
	}
	return text
}

// reasonsGiven is I8: whatever action failed said why, none blamed the configuration, which no fault breaks, and what was to be
// refused was.
func reasonsGiven(e Evidence, a Allowance, f *Finding) {
	var all []Failure
	for _, node := range slices.Sorted(maps.Keys(e.Logs)) {
		all = append(all, e.Logs[node].Failures...)
	}
	f.Figure = fmt.Sprintf("%d failed actions", len(all))
	for _, failure := range all {
		switch mute := slices.Contains(a.Mute, failure.Node); {
		case failure.bans():
			f.breach("an action failed with a code that bans the node for good: %s", failure)
		case strings.HasPrefix(failure.Status, "Timed Out"):
			if !a.TimedOut && !mute {
				f.breach("an action was ended by Pacemaker: %s", failure)
			}
		case failure.silent() && !a.Silent && !mute:
			f.breach("a failed action gave no reason: %s", failure)
		}
	}
	for _, want := range a.Reasons {
		pattern := regexp.MustCompile(want)
		if !slices.ContainsFunc(all, func(one Failure) bool {
			return pattern.MatchString(fmt.Sprintf("%s on %s: %s", one.Operation, one.Node, one.Reason))
		}) {
			f.breach("no failed action has a reason like %q; there are: %v", want, all)
		}
	}
}
