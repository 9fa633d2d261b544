package operator

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"pgsqlms/internal/crm"
)

func explainCommand() verb {
	return verb{
		name:    "explain",
		purpose: "why a node is promoted or not, and where the time of the last role changes went",
		args:    " [NODE]",
		example: "pgsqlms explain                    # the cluster, every node, the last role changes\n" +
			"pgsqlms explain n3                 # why n3 is not promoted; exit code 0 if it could be\n" +
			"pgsqlms explain --last 1 --output json | jq '.changes[0].spent'\n",
		setup: func(c *call) {
			c.flags.IntVar(&c.last, "last", 3, "show this `number` of role changes, 0 to 100")
		},
		run: explain,
	}
}

const mostChanges = 100

func explain(ctx context.Context, c *call) (ExitCode, error) {
	if len(c.args) > 1 {
		return ExitUsage, usagef("takes one node, found %s", strings.Join(c.args, " "))
	}
	if c.last < 0 || c.last > mostChanges {
		return ExitUsage, usagef("--last %d: expected a number from 0 to %d", c.last, mostChanges)
	}
	s := newSurveyor(c)
	s.patient = true
	f, err := surveyToExplain(ctx, s, systemLogs(), c.now())
	if ctx.Err() != nil {
		return ExitUnknown, errInterrupted
	}
	if err != nil {
		return ExitUnknown, err
	}
	asked := ""
	if len(c.args) == 1 {
		asked = c.args[0]
	}
	if asked != "" && !slices.Contains(f.nodeNames(), asked) {
		return ExitUsage, usagef("the cluster has no node %q, found %s", asked, orNone(f.nodeNames()))
	}
	v := explainAll(f, asked, c.last)
	if err := c.print(v, v.text); err != nil {
		return ExitUnknown, err
	}
	return v.exitCode(f.stateErr == nil), nil
}

// exitCode is well where somebody is promoted, or the node that was asked about is or
// could be.
func (v explainView) exitCode(live bool) ExitCode {
	for _, n := range v.Nodes {
		if n.Node == v.Asked && n.Could {
			return ExitWell
		}
	}
	switch {
	case !live:
		return ExitUnknown
	case v.Asked == "" && v.Primary != "" && !v.dead:
		return ExitWell
	}
	return ExitWrong
}

// surveyToExplain looks at everything, at the votes while nobody is promoted, and at the
// past.
func surveyToExplain(ctx context.Context, s surveyor, l logs, now time.Time) (pastSurvey, error) {
	found, err := s.survey(ctx, now)
	if err != nil {
		return pastSurvey{}, err
	}
	if found.stateErr == nil && found.promoted() == "" {
		s.askVotes(ctx, &found)
	}
	return readPast(ctx, found, l, true), nil
}

// askVotes asks the attribute manager of this node for what the nodes say they hold.
func (s surveyor) askVotes(ctx context.Context, f *survey) {
	ctx, cancel := context.WithTimeout(ctx, s.toolWait())
	defer cancel()
	var asked sync.WaitGroup
	var mu sync.Mutex
	f.votes = map[string]string{}
	for _, node := range f.state.Nodes {
		if !node.Online || node.Remote {
			continue
		}
		asked.Go(func() {
			vote, found, err := s.crm.Private(ctx, node.Name, crm.BallotAttribute(f.resource.Name))
			mu.Lock()
			defer mu.Unlock()
			if err == nil && found {
				f.votes[node.Name] = vote
			}
		})
	}
	asked.Wait()
}

// text shows the view to a person.
func (v explainView) text(s style) string {
	var b strings.Builder
	color := red
	if v.Primary != "" {
		color = green
	}
	for _, line := range wrap(clean(v.Verdict), s.columns) {
		b.WriteString(s.paint(line, color) + "\n")
	}
	s.section(&b, "Why", red, v.Because)
	var nodes []remark
	for _, n := range v.Nodes {
		nodes = append(nodes, remark{Node: n.Node, Text: n.Verdict})
		for _, r := range n.Because {
			nodes = append(nodes, remark{Text: "- " + r.Text, ToDo: r.ToDo})
		}
	}
	s.section(&b, "Node by node", plain, nodes)
	for _, c := range v.Changes {
		c.text(s, &b)
	}
	var notes []remark
	for _, text := range v.Notes {
		notes = append(notes, remark{Text: text})
	}
	if v.Log != nil && v.Log.Since != nil {
		notes = append(notes, remark{Text: fmt.Sprintf("the log read here, %s, begins at %s", v.Log.Source, timeText(*v.Log.Since))})
	}
	s.section(&b, "Notes", plain, notes)
	return b.String()
}

func (c changeView) title() string {
	var b strings.Builder
	switch {
	case c.To == "":
		b.WriteString("Nobody has been promoted since then")
	case c.From == c.To:
		fmt.Fprintf(&b, "%s was promoted again", c.To)
	case c.From == "":
		fmt.Fprintf(&b, "%s was promoted", c.To)
	default:
		fmt.Fprintf(&b, "From %s to %s", c.From, c.To)
	}
	if c.Timeline != 0 {
		fmt.Fprintf(&b, ", timeline %s", c.Timeline)
		if c.LSN != "" {
			b.WriteString(" from " + c.LSN)
		}
	}
	if c.Reason != "" {
		b.WriteString(": " + c.Reason)
	}
	return b.String()
}

var (
	stepHeading = []string{"Time", "After", "Took", "Node", "What"}
	stepRight   = []bool{false, true, true, false, false}
)

func (c changeView) text(s style, b *strings.Builder) {
	b.WriteString("\n")
	for _, line := range wrap(clean(c.title()), s.columns) {
		b.WriteString(s.paint(line, bold) + "\n")
	}
	if c.Begun != nil {
		b.WriteString(c.length(s.columns))
	}
	for _, line := range c.Why {
		s.item(b, "  ", "why there: "+line)
	}
	if len(c.Steps) > 0 {
		c.table(s, b)
	}
	for _, r := range c.Unknown {
		s.item(b, "  ", "not known here: "+r.Text)
		if r.ToDo != "" {
			b.WriteString("    to do: " + clean(r.ToDo) + "\n")
		}
	}
}

// length is how long it took, and what that was spent on.
func (c changeView) length(width int) string {
	if len(c.Steps) == 0 {
		return "  " + timeText(*c.Begun) + "\n"
	}
	var on []string
	total := 0.0
	for _, p := range c.Spent {
		total += p.Seconds
		on = append(on, fmt.Sprintf("%s %.1f s", p.On.text(), p.Seconds))
	}
	length := fmt.Sprintf("%.1f s", total)
	if c.AtLeast {
		length = "at least " + length
	}
	text := fmt.Sprintf("  %s, %s", timeText(*c.Begun), length)
	if c.Ended == nil {
		text += " until now"
	}
	if len(on) > 0 {
		text += ":"
		for _, line := range wrap(strings.Join(on, ", "), width-4) {
			text += "\n    " + line
		}
	}
	return text + "\n"
}

func (c changeView) table(s style, b *strings.Builder) {
	rows := make([][]cell, 0, len(c.Steps))
	const widthBeforeWhat = 46 // of the other columns, with nodes' names of usual length
	for _, step := range c.Steps {
		took := ""
		if step.Seconds != nil {
			took = fmt.Sprintf("%.1f s", *step.Seconds)
		}
		cells := []cell{
			{text: step.At.Format("15:04:05.000")}, {text: fmt.Sprintf("%.1f s", step.At.Sub(c.Steps[0].At).Seconds())}, {text: took},
			{text: clean(step.Node)}, {},
		}
		for n, part := range wrap(clean(step.What), s.columns-widthBeforeWhat) {
			if n > 0 {
				cells = []cell{{}, {}, {}, {}, {}}
			}
			cells[4].text = part
			rows = append(rows, slices.Clone(cells))
		}
	}
	var table strings.Builder
	s.table(&table, stepHeading, stepRight, rows)
	b.WriteString(indent(table.String(), "    "))
}
