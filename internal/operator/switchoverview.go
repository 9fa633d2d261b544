package operator

import (
	"fmt"
	"strings"
	"time"
)

// outcome is how a switchover ended.
type outcome string

const (
	outcomeRefused     outcome = "refused"     // a check says no; nothing was done
	outcomeNothing     outcome = "nothing"     // the target is the primary already
	outcomeDryRun      outcome = "dry run"     // nothing was done
	outcomeDeclined    outcome = "declined"    // the question was not answered with yes
	outcomeDone        outcome = "done"        //
	outcomeCancelled   outcome = "cancelled"   // the target's promotion failed
	outcomeFailed      outcome = "failed"      // Pacemaker was not told to move the role
	outcomeTimeout     outcome = "timeout"     //
	outcomeInterrupted outcome = "interrupted" //
)

// switchoverView is what `pgsqlms switchover` shows, and its JSON.
type switchoverView struct {
	Taken    time.Time `json:"time"`
	Resource string    `json:"resource"`
	switchoverPlan
	primitive  string
	DryRun     bool     `json:"dry_run"`
	Outcome    outcome  `json:"outcome"`
	Reason     string   `json:"reason,omitempty"`
	Primary    string   `json:"primary,omitempty"` // who is promoted in the end, by Pacemaker's word
	Seconds    float64  `json:"seconds,omitempty"` // from the request to the end
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
	b.WriteString("\nWhat will happen\n")
	for n, step := range v.Steps {
		for line, part := range wrap(clean(step), s.columns-5) {
			mark := fmt.Sprintf("  %d. ", n+1)
			if line > 0 {
				mark = "     "
			}
			b.WriteString(mark + part + "\n")
		}
	}
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
		return "crm_resource --cleanup -r " + v.primitive + " --node " + v.Target
	case outcomeTimeout, outcomeInterrupted, outcomeFailed:
		return "pgsqlms status"
	}
	return ""
}

func (v switchoverView) endText(s style) string {
	var b strings.Builder
	b.WriteByte('\n')
	line := func(format string, args ...any) {
		for n, part := range wrap(clean(fmt.Sprintf(format, args...)), s.columns-2) {
			b.WriteString(strings.Repeat(" ", 2*min(n, 1)) + part + "\n")
		}
	}
	switch v.Outcome {
	case outcomeRefused:
		line("refused, nothing was done: %s", plural(v.Checks.count(levelError), "error"))
	case outcomeNothing:
		line("%s is the primary already: nothing to do", v.Primary)
	case outcomeDryRun:
		line("nothing was done")
	case outcomeDeclined:
		line("not confirmed, nothing was done")
	case outcomeDone:
		line("%s is the primary now, after %.1f s", v.Primary, v.Seconds)
	case outcomeCancelled:
		line("cancelled by the agent on %s: %s", v.Target, v.Reason)
		line("the primary is %s", orUnknown(v.Primary, true))
	case outcomeFailed:
		line("the role was not moved: %s", v.Reason)
	default:
		line("%s after %.1f s; the primary is %s, and Pacemaker may be under way still", v.Reason, v.Seconds, orUnknown(v.Primary, true))
	}
	if v.GapSeconds != nil {
		line("no node was a primary for at most %.1f s (%s)", *v.GapSeconds, v.GapSource)
	}
	if v.ClearError != "" && !v.Cleared {
		line("the constraint could not be removed: %s", v.ClearError)
		b.WriteString("  to do: " + clean("crm_resource --clear -r "+v.Resource+" --node "+v.Target) + "\n")
	}
	if v.ToDo != "" {
		b.WriteString("  to do: " + clean(v.ToDo) + "\n")
	}
	return b.String()
}
