package operator

import (
	"fmt"
	"strings"
	"time"
)

// text shows the view to a person.
func (v statusView) text(s style) string {
	var b strings.Builder
	b.WriteString(v.title(s))
	rows := make([][]cell, 0, len(v.Nodes))
	for _, n := range v.Nodes {
		rows = append(rows, n.row())
	}
	s.table(&b, statusHeading, statusRight, rows, columnRestart, columnUpstream, columnBehind)
	b.WriteByte('\n')
	for _, line := range v.facts() {
		s.labelled(&b, line.label, line.text)
	}
	s.section(&b, "Not well", red, v.Problems)
	s.section(&b, "Failed actions", red, v.failureRemarks())
	s.section(&b, "Notices", yellow, v.Notices)
	s.section(&b, "Not known here", plain, v.Unknown)
	return b.String()
}

func (v statusView) title(s style) string {
	name := v.Resource
	if v.Clone != "" {
		name = v.Clone
	}
	if v.Cluster != "" {
		name += " in cluster " + v.Cluster
	}
	verdict := s.paint("all is well", green)
	if !v.Well {
		verdict = s.paint(plural(len(v.Problems), "problem"), red)
	}
	return fmt.Sprintf("%s, %s: %s\n\n", s.paint(clean(name), bold), timeText(v.Taken), verdict)
}

var (
	statusHeading = []string{"", "Node", "Role", "State", "TL", "Position", "Lag", "Behind", "Upstream", "Score", "Restart"}
	statusRight   = []bool{false, false, false, false, true, true, true, true, false, true, false}
)

// Those of the columns that a narrow terminal goes without: of a setting that waits for a
// restart there is a notice, too.
const (
	columnBehind   = 7
	columnUpstream = 8
	columnRestart  = 10
)

// What a field holds that does not apply, and one that cannot be known from here.
const (
	none      = "-"
	unknowing = "?"
)

// mostState is as wide as the longest state that is ours.
const mostState = 13

func (n nodeView) row() []cell {
	here := cell{text: " "}
	if n.Here {
		here.text = "*"
	}
	silent, place := none, none
	if n.Role == roleStandby {
		silent = unknowing
	}
	if n.Role != roleNone {
		place = unknowing
	}
	cells := []cell{
		here, {text: clean(n.Name)}, {text: n.roleText()}, {clip(clean(string(n.State)), mostState), n.State.color()},
		{text: place}, {text: place}, {text: silent}, {text: silent}, {text: none}, n.scoreCell(), n.restartCell(),
	}
	if n.Timeline != 0 {
		cells[4].text = n.Timeline.String()
	}
	if n.LSN != "" {
		cells[5].text = n.LSN
	}
	if n.LagBytes != nil {
		cells[6].text = bytesText(*n.LagBytes)
	}
	if n.BehindSeconds != nil {
		cells[7].text = durationText(time.Duration(*n.BehindSeconds * float64(time.Second)))
	}
	if n.Upstream != "" {
		cells[8].text = clean(n.Upstream)
	}
	return cells
}

func (n nodeView) roleText() string {
	switch {
	case n.Role == rolePrimary:
		return "Primary"
	case n.Role != roleStandby:
		return none
	case n.Sync == "sync":
		return "Sync Standby"
	case n.Sync == "quorum":
		return "Quorum Standby"
	case n.Sync == "potential":
		return "Potential Sync"
	}
	return "Standby"
}

func (s nodeState) color() color {
	switch s {
	case stateRunning, stateStreaming:
		return green
	case stateCatchingUp, stateStarting, stateJoining, stateUnknown:
		return yellow
	}
	return red
}

func (n nodeView) scoreCell() cell {
	switch {
	case !n.ScoreKnown:
		return cell{text: unknowing}
	case n.Score == nil:
		return cell{text: "none"}
	case *n.Score < 0:
		return cell{scoreText(*n.Score), red}
	}
	return cell{text: scoreText(*n.Score)}
}

func (n nodeView) restartCell() cell {
	switch {
	case len(n.PendingRestart) > 0:
		return cell{"pending", yellow}
	case n.PendingRestart != nil || n.Role == roleNone:
		return cell{text: none}
	}
	return cell{text: unknowing}
}

type fact struct{ label, text string }

// facts are the lines between the table and what is not well.
func (v statusView) facts() (lines []fact) {
	p := v.Pacemaker
	add := func(label, format string, args ...any) {
		lines = append(lines, fact{label, fmt.Sprintf(format, args...)})
	}
	add("Cluster", "quorum %s, fencing %s, maintenance mode %s, coordinator %s",
		yesNo(p.Quorum, "yes", "NO"), yesNo(p.Fencing, "on", "OFF"), yesNo(p.Maintenance, "ON", "off"), orUnknown(p.DC, p.Source == sourceLive))
	for _, f := range v.Followers {
		add("Follows", "%s on %s", f.Name, orUnknown(strings.Join(f.Nodes, ", "), true))
	}
	if v.Promotion != nil {
		add("Promoted", "%s at %s", v.Promotion.Node, v.when(v.Promotion.At))
	}
	if r := v.Record; r != nil {
		begun := ""
		if r.Begun != "" {
			begun = " at " + r.Begun
		}
		add("Record", "timeline %s, begun by %s%s; commits: %s", r.Timeline, r.Node, begun, strings.Join(r.Sync, "; before: "))
	}
	if f := v.Fencing; f != nil {
		at := "not completed"
		if f.At != nil {
			at = v.when(*f.At)
		}
		add("Fenced", "%s (%s, asked for by %s): %s, %s", f.Target, f.Action, f.By, f.Status, at)
	}
	for _, c := range v.Constraints {
		add("Rule", "%s %s", c.ID, c.Text)
	}
	return lines
}

// when is a moment, and how long before the survey that was.
func (v statusView) when(t time.Time) string {
	return fmt.Sprintf("%s (%s ago)", timeText(t), durationText(v.Taken.Sub(t)))
}

func yesNo(b *bool, yes, no string) string {
	switch {
	case b == nil:
		return unknowing
	case *b:
		return yes
	}
	return no
}

func orUnknown(text string, asked bool) string {
	switch {
	case text != "":
		return text
	case asked:
		return "none"
	}
	return unknowing
}

func (v statusView) failureRemarks() (remarks []remark) {
	for _, f := range v.Failures {
		at := ""
		if f.At != nil {
			at = ", " + v.when(*f.At)
		}
		text := fmt.Sprintf("%s ended with %d (%s)%s", f.Operation, f.Code, f.Text, at)
		if f.Reason != "" {
			text += ": " + f.Reason
		}
		remarks = append(remarks, remark{Node: f.Node, Text: text})
	}
	return remarks
}

// section writes remarks under a heading: the text wrapped, and what to do on a line of its
// own, from which a command can be copied.
func (s style) section(b *strings.Builder, heading string, c color, remarks []remark) {
	if len(remarks) == 0 {
		return
	}
	fmt.Fprintf(b, "\n%s\n", s.paint(heading, c))
	for _, r := range remarks {
		text := r.Text
		if r.Node != "" {
			text = r.Node + ": " + text
		}
		s.item(b, "  ", text)
		if r.ToDo != "" {
			b.WriteString("    to do: " + clean(r.ToDo) + "\n")
		}
	}
}

const labelWidth = 10

func (s style) labelled(b *strings.Builder, label, text string) {
	for n, part := range wrap(clean(text), s.columns-labelWidth) {
		if n > 0 {
			label = ""
		}
		fmt.Fprintf(b, "%s%s\n", s.paint(label, bold)+strings.Repeat(" ", labelWidth-len(label)), part)
	}
}
