package operator

import (
	"fmt"
	"strings"
	"time"
)

// outcome is how a switchover ended.
type outcome string

const (
	outcomeRefused     outcome = "refused"      // a check says no; nothing was done
	outcomeNothing     outcome = "nothing"      // the target is the primary already
	outcomeDryRun      outcome = "dry run"      // nothing was done
	outcomeDeclined    outcome = "declined"     // the question was not answered with yes
	outcomeDone        outcome = "done"         //
	outcomeUnfollowed  outcome = "not followed" // the target has the role, and what moves along did not start there
	outcomeElsewhere   outcome = "elsewhere"    // a third node has the role
	outcomeReturned    outcome = "returned"     // the target had the role, and lost it when the constraint was gone
	outcomeCancelled   outcome = "cancelled"    // the target's promotion failed, or it cannot have the role any more
	outcomeFailed      outcome = "failed"       // Pacemaker was not told to move the role
	outcomeTimeout     outcome = "timeout"      //
	outcomeInterrupted outcome = "interrupted"  //
)

// switchoverView is what `pgsqlms switchover` shows, and its JSON.
type switchoverView struct {
	Taken    time.Time `json:"time"`
	Resource string    `json:"resource"`
	switchoverPlan
	primitive  string
	byAgent    bool     // it was the target's agent that cancelled it
	DryRun     bool     `json:"dry_run"`
	Outcome    outcome  `json:"outcome"`
	Reason     string   `json:"reason,omitempty"`
	NotStarted []string `json:"not_started,omitempty"` // of the followers
	Primary    string   `json:"primary,omitempty"`     // who is promoted in the end, by Pacemaker's word
	Seconds    float64  `json:"seconds,omitempty"`     // from the request to the end
	GapSeconds *float64 `json:"without_primary_seconds"`
	GapSource  string   `json:"without_primary_measured,omitempty"`
	Cleared    bool     `json:"constraint_removed"` // of the one that it made
	ClearError string   `json:"constraint_error,omitempty"`
	ToDo       string   `json:"to_do,omitempty"`
}

// measure takes the gap that PostgreSQL was asked for, or the one that Pacemaker showed.
func (v *switchoverView) measure(bySQL time.Duration, p progress) {
	gap := bySQL
	v.GapSource = fmt.Sprintf("both instances were asked over SQL every %s", durationText(askEvery))
	if gap == 0 && !p.held.IsZero() && !p.again.IsZero() {
		gap = p.again.Sub(p.held)
		v.GapSource = fmt.Sprintf("by Pacemaker's word, looked at every %s", durationText(lookEvery))
	}
	if gap == 0 {
		v.GapSource = ""
		return
	}
	seconds := gap.Seconds()
	v.GapSeconds = &seconds
}

// planText is what is shown before the question.
func (v switchoverView) planText(s style) string {
	var b strings.Builder
	title := "no target"
	if v.Target != "" {
		title = fmt.Sprintf("from %s to %s", orUnknown(v.From, true), v.Target)
	}
	fmt.Fprintf(&b, "%s: switchover %s\n\n", s.paint(clean(v.Resource), bold), clean(title))
	s.findings(&b, v.Checks)
	if len(v.Steps) == 0 {
		return b.String()
	}
	s.steps(&b, v.Steps)
	fmt.Fprintf(&b, "  with: %s\n  waited for: at most %s\n", clean(v.Command), durationText(v.Bound))
	return b.String()
}

// end shows the outcome and returns the exit code.
func (v *switchoverView) end(c *call, o outcome, code ExitCode) (ExitCode, error) {
	v.Outcome = o
	v.ToDo = v.todo()
	if err := c.print(v, v.endText); err != nil {
		return ExitUnknown, err
	}
	return code, nil
}

func (v switchoverView) todo() string {
	switch v.Outcome {
	case outcomeCancelled:
		if !v.byAgent {
			return "pgsqlms status"
		}
		return cleanupOf(v.primitive, v.Target)
	case outcomeReturned:
		return "crm_mon -1 -r -f and pgsqlms status, which lists the constraints: what prefers another node"
	case outcomeUnfollowed:
		return "crm_mon -1 -r -f, which says why; then crm_resource --cleanup -r " + v.NotStarted[0]
	case outcomeTimeout, outcomeInterrupted, outcomeFailed, outcomeElsewhere:
		return "pgsqlms status"
	}
	return ""
}

// clearByHand removes the constraint where this command cannot.
func (v switchoverView) clearByHand() string {
	return "crm_resource --clear -r " + v.Resource + " --node " + v.Target
}

func (v switchoverView) endText(s style) string {
	e := s.ending()
	switch {
	case v.Outcome == outcomeRefused && v.Reason != "":
		e.line("refused, nothing was done: %s", v.Reason)
	case e.nothingDone(v.Outcome, v.Checks):
	case v.Outcome == outcomeNothing:
		e.line("%s is the primary already: nothing to do", v.Primary)
	case v.Outcome == outcomeDone:
		e.line("%s is the primary now, after %.1f s", v.Target, v.Seconds)
	case v.Outcome == outcomeUnfollowed:
		e.line("%s is the primary now, after %.1f s, but %s", v.Target, v.Seconds, v.Reason)
	case v.Outcome == outcomeElsewhere:
		e.line("not done: %s; the primary is %s", v.Reason, orUnknown(v.Primary, true))
	case v.Outcome == outcomeReturned:
		e.line("%s had the role after %.1f s, and lost it when the constraint was gone; the primary is %s", v.Target, v.Seconds, orUnknown(v.Primary, true))
	case v.Outcome == outcomeCancelled:
		by := "cancelled"
		if v.byAgent {
			by = "cancelled by the agent on " + v.Target
		}
		e.line("%s: %s", by, v.Reason)
		e.line("the primary is %s", orUnknown(v.Primary, true))
	case v.Outcome == outcomeFailed:
		e.line("the role was not moved: %s", v.Reason)
	default:
		e.line("%s after %.1f s; the primary is %s, and Pacemaker may be under way still", v.Reason, v.Seconds, orUnknown(v.Primary, true))
	}
	if v.GapSeconds != nil {
		e.line("no node was a primary for at most %.1f s (%s)", *v.GapSeconds, v.GapSource)
	}
	if v.ClearError != "" && !v.Cleared {
		e.line("the constraint could not be removed: %s", v.ClearError)
		e.toDo(v.clearByHand())
	}
	e.toDo(v.ToDo)
	return e.String()
}
