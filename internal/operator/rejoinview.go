package operator

import (
	"fmt"
	"strings"
	"time"
)

// The outcomes of a rejoin beside those of a switchover.
const (
	outcomeNotStreaming outcome = "not streaming" // the data are new, and it does not stream
)

// rejoinView is what `pgsqlms rejoin` shows, and its JSON.
type rejoinView struct {
	Taken    time.Time `json:"time"`
	Resource string    `json:"resource"`
	rejoinPlan
	primitive  string
	DryRun     bool    `json:"dry_run"`
	Outcome    outcome `json:"outcome"`
	Reason     string  `json:"reason,omitempty"`
	Seconds    float64 `json:"seconds,omitempty"`       // from the request to the end
	Used       way     `json:"used,omitempty"`          // how the data were made in the end
	Copied     uint64  `json:"bytes_copied,omitempty"`  // or fetched
	Kept       string  `json:"old_data_kept,omitempty"` // where the old data are
	Left       string  `json:"old_data_left,omitempty"` // where what could not be removed of the old data is
	HalfDone   string  `json:"half_done,omitempty"`     // where work was left that keeps the instance from starting
	Placed     bool    `json:"new_data_in_place"`       // of a work that failed all the same, or was interrupted
	Cleared    bool    `json:"constraint_removed"`      // of the one that it made
	ClearError string  `json:"constraint_error,omitempty"`
	ToDo       string  `json:"to_do,omitempty"`

	idle bool // it has failed before anything was done
}

// planText is what is shown before the question.
func (v rejoinView) planText(s style) string {
	var b strings.Builder
	title := fmt.Sprintf("rejoin of %s", orUnknown(v.Node, true))
	if v.Primary != "" && v.Primary != v.Node {
		title += " to " + v.Primary
	}
	fmt.Fprintf(&b, "%s: %s\n\n", s.paint(clean(v.Resource), bold), clean(title))
	s.findings(&b, v.Checks)
	if len(v.Steps) == 0 {
		return b.String()
	}
	lost := append([]string{"Would be lost", v.Lost}, v.lostSlots...)
	for _, section := range [][]string{{"Found on " + v.Node, v.Ailment}, lost} {
		b.WriteString("\n" + clean(section[0]) + "\n")
		for _, text := range section[1:] {
			for _, part := range wrap(clean(text), s.columns-2) {
				b.WriteString("  " + part + "\n")
			}
		}
	}
	s.steps(&b, v.Steps)
	return b.String()
}

// end shows the outcome and returns the exit code.
func (v *rejoinView) end(c *call, o outcome, code ExitCode) (ExitCode, error) {
	v.Outcome = o
	v.ToDo = v.todo()
	if err := c.print(v, v.endText); err != nil {
		return ExitUnknown, err
	}
	return code, nil
}

// undone ends a rejoin that has done nothing, and says why.
func (v *rejoinView) undone(c *call, o outcome, code ExitCode, why string) (ExitCode, error) {
	v.idle, v.Reason = true, why
	return v.end(c, o, code)
}

func (v rejoinView) todo() string {
	switch {
	case v.HalfDone != "":
		return "pgsqlms rejoin, on " + v.Node
	case v.idle:
		return ""
	case v.Outcome == outcomeNotStreaming, v.Outcome == outcomeTimeout, v.Outcome == outcomeFailed, v.Placed:
		return "pgsqlms status"
	case v.Left != "":
		return "rm -r " + v.Left + ", as root"
	case v.Outcome == outcomeDone && v.Kept != "":
		return "rm -r " + v.Kept + ", once nobody needs it"
	}
	return ""
}

// clearByHand removes the constraint where this command cannot.
func (v rejoinView) clearByHand() string {
	return deletion(v.constraint())
}

func (v rejoinView) endText(s style) string {
	e := s.ending()
	v.outcomeText(e)
	if v.Left != "" {
		e.line("the old data were to be removed; what could not be is in %s", v.Left)
	}
	switch {
	case v.HalfDone == "":
	case v.Placed:
		e.line("the new data are in place, and %s could not be removed: PostgreSQL is not started on %s beside it", v.HalfDone, v.Node)
	default:
		e.line("the work is half-done in %s: PostgreSQL is not started on %s until it is done", v.HalfDone, v.Node)
		e.line("do not remove it: %s/own may be all that there is of this node's configuration", v.HalfDone)
	}
	if v.Kept != "" {
		e.line("the old data are kept in %s", v.Kept)
	}
	if v.ClearError != "" && !v.Cleared {
		e.line("the constraint could not be removed: %s", v.ClearError)
		e.toDo(v.clearByHand())
	}
	e.toDo(v.ToDo)
	return e.String()
}

// outcomeText is how it came out.
func (v rejoinView) outcomeText(e *ending) {
	took := durationText(time.Duration(v.Seconds * float64(time.Second)))
	switch {
	case v.idle && v.Outcome == outcomeRefused:
		e.line("refused, nothing was done: %s", v.Reason)
	case v.idle && v.Outcome != outcomeNothing:
		e.line("not repaired, nothing was done: %s", v.Reason)
	case e.nothingDone(v.Outcome, v.Checks):
	case v.Outcome == outcomeNothing:
		e.line("%s streams from %s: nothing to repair", v.Node, v.Primary)
	case v.Outcome == outcomeDone:
		e.line("%s streams from %s, after %s%s", v.Node, v.Primary, took, v.used())
	case v.Outcome == outcomeNotStreaming:
		e.line("%s has new data, and does not stream yet: %s", v.Node, v.Reason)
	case v.Outcome == outcomeInterrupted && v.Placed && v.HalfDone == "":
		e.line("interrupted, after %s: %s has new data, with which Pacemaker starts it; whether it streams was not waited for", took, v.Node)
	default:
		e.line("not repaired, after %s: %s", took, v.Reason)
		if v.HalfDone == "" {
			e.line("the data of %s are as they were", v.Node)
		}
	}
}

// used says by which program the data were made; nothing where none was needed.
func (v rejoinView) used() string {
	switch v.Used {
	case wayRewind:
		return fmt.Sprintf(" (pg_rewind, %s copied or fetched)", bytesText(v.Copied))
	case wayClone:
		return fmt.Sprintf(" (pg_basebackup, %s fetched)", bytesText(v.Copied))
	}
	return ""
}
