package scenario

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"pgsqlms/test/lab"
	"pgsqlms/test/writer"
)

// Result is what a scenario cost.
type Result struct {
	Scenario      string
	Before, After string // who was primary
	Coordinator   string // lab.Status.DC before the fault: who is lost with it, if it was the primary's node as well
	Fault         time.Time
	Injected      time.Time
	Streaming     time.Duration // from the fault until all nodes streamed and the DC was idle
	Gap           writer.Gap
	Verdict       writer.Verdict // over all writers
	Overlaps      []writer.Overlap
	Fencings      []lab.Fencing
	Repaired      []string           // nodes that could not follow any more, see Runner.Repair
	Phases        Phases             // of the loss of the primary's node, if it was lost
	Split         Split              // where the gap went
	Transitions   int                // that Pacemaker calculated from the fault until the gap's end; 0 without Pacemaker
	Dirty         map[string]float64 // see Play
	Backlog       map[string]float64
	History       writer.History // of the writer at the VIP
	PinnedHistory writer.History // of those at the nodes' own addresses
	judged        bool
}

// measure draws from the writer's history how long nobody could write, and from the logs where that went. It needs no
// cluster that is well, and so tells of a failover after which something else went wrong.
func (r *Result) measure(ctx context.Context, l *lab.Lab) {
	r.Gap = writer.WriteGap(r.History, r.History.At(r.Fault))
	if r.Gap.Open {
		return
	}
	r.Split = splitOf(ctx, l, r.History, r.Gap)
	for _, node := range l.Nodes() {
		r.Transitions += transitions(l.ReadLog(node.Name, pacemakerLog), r.Fault, r.History.Epoch.Add(r.Gap.To))
	}
}

// conclude draws the figures from the histories and the ids that the table holds.
func (r *Result) conclude(stored map[int64]struct{}) {
	all := writer.Merge(r.History, r.PinnedHistory)
	r.Gap = writer.WriteGap(r.History, r.History.At(r.Fault))
	r.Verdict = writer.Judge(all, stored)
	r.Overlaps = writer.Overlaps(all)
	r.judged = true
}

// Complaints are the invariants that did not hold; empty when all is well.
func (r Result) Complaints() []string {
	if !r.judged {
		return []string{"what the table holds afterwards was not read"}
	}
	var complaints []string
	add := func(broken bool, format string, args ...any) {
		if broken {
			complaints = append(complaints, fmt.Sprintf(format, args...))
		}
	}
	lost, phantom := r.Verdict.Lost, r.Verdict.Phantom
	add(len(lost) > 0, "%d acknowledged rows are lost: %s", len(lost), Some(lost))
	add(len(phantom) > 0, "%d refused rows are in the table: %s", len(phantom), Some(phantom))
	add(len(r.Overlaps) > 0, "%d times two nodes acknowledged at once", len(r.Overlaps))
	add(r.Gap.Open, "no write was acknowledged after the fault")
	add(r.Streaming == 0, "not all nodes streamed again")
	return complaints
}

// Some names the first few ids.
func Some(ids []int64) string {
	const few = 5
	text := strings.Trim(fmt.Sprint(ids[:min(few, len(ids))]), "[]")
	if len(ids) > few {
		text += " ..."
	}
	return text
}

// Measured says whether the gap is a figure: the fault was there, and writes were acknowledged again after it. All nodes
// need not stream again for that, and what the table holds afterwards need not be known: see Complaints.
func (r Result) Measured() bool {
	return !r.Injected.IsZero() && r.Gap.Length() > 0 && !r.Gap.Open
}

// Fenced says whether a node was fenced.
func (r Result) Fenced() bool { return len(r.Fencings) > 0 }

// fenced counts the fencings and names the nodes.
func (r Result) fenced() string {
	if len(r.Fencings) == 0 {
		return "0"
	}
	var victims []string
	for _, f := range r.Fencings {
		name := f.Victim
		if f.Error != "" {
			name += " failed"
		}
		if !slices.Contains(victims, name) {
			victims = append(victims, name)
		}
	}
	return fmt.Sprintf("%d (%s)", len(r.Fencings), strings.Join(victims, ", "))
}
