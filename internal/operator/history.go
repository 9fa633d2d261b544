package operator

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

func historyCommand() verb {
	return verb{
		name:    "history",
		purpose: "the promotions of this cluster: when, from whom to whom, where, why, and what was lost",
		example: "pgsqlms history                    # the oldest first\n" +
			"pgsqlms history --output json | jq '.promotions[-1]'\n",
		run: showHistory,
	}
}

func showHistory(ctx context.Context, c *call) (ExitCode, error) {
	f, err := surveyPast(ctx, newSurveyor(c), systemLogs(), c.now())
	if ctx.Err() != nil {
		return ExitUnknown, errInterrupted
	}
	if err != nil {
		return ExitUnknown, err
	}
	v := history(f)
	err = c.print(v, v.text)
	if err != nil {
		return ExitUnknown, err
	}
	if f.filesErr != nil && len(v.Promotions) == 0 {
		return ExitUnknown, fmt.Errorf("nothing is known of any promotion: %w", f.filesErr)
	}
	return ExitWell, nil
}

// surveyPast reads all that this node knows of the past.
func surveyPast(ctx context.Context, s surveyor, l logs, now time.Time) (pastSurvey, error) {
	bounded, cancel := context.WithTimeout(ctx, s.surveyWait())
	defer cancel()
	found, err := s.begin(bounded, now)
	if err != nil {
		return pastSurvey{survey: found}, err
	}
	return readPast(ctx, found, l, false), nil
}

// readPast adds the timelines' history files and the log to a survey.
func readPast(ctx context.Context, found survey, l logs, course bool) pastSurvey {
	f := pastSurvey{survey: found}
	bounded, cancel := context.WithTimeout(ctx, surveyWait)
	defer cancel()
	f.readFiles(bounded)
	f.readLog(ctx, l, course)
	return f
}

// readLog takes from every line what history makes something of, and with course what
// explain does.
func (f *pastSurvey) readLog(ctx context.Context, l logs, course bool) {
	parts := pastParts{of: f.survey, course: course}
	f.span, f.logErr = l.read(ctx, logWanted{f.taken, f.lastPromotion(), f.resource.Name}, parts.begin)
	f.events, f.happenings = parts.joined()
}

// lastPromotion is when a promotion last succeeded, as far as the CIB knows; zero where it
// knows none.
func (f *pastSurvey) lastPromotion() (last time.Time) {
	for _, node := range f.nodeNames() {
		op, found := f.cib.Last(f.resource.Name, node, "promote")
		if found && op.Done && op.Code == 0 && op.At.After(last) {
			last = op.At
		}
	}
	return last
}

// pastParts take the log as it is read, the newest part first.
type pastParts struct {
	of     survey
	course bool
	kept   []*pastPart
}

// pastPart is what a part of the log tells, in its order.
type pastPart struct {
	events     []logEvent
	happenings []happening
}

func (p *pastParts) begin() logTaker {
	part, r := &pastPart{}, newCourseReader(p.of)
	return logTaker{
		line: func(at time.Time, line string) { part.take(r, at, line, p.course) },
		keep: func() { p.kept = append(p.kept, part) },
	}
}

func (p *pastPart) take(r *courseReader, at time.Time, line string, course bool) {
	e, found := r.events.read(line)
	if found {
		e.at = at
		p.events = append(p.events, e)
	}
	if !course {
		return
	}
	if h, found := r.read(at, line, e); found {
		p.happenings = append(p.happenings, h)
	}
}

// joined is what all of them tell: the events in the order of their times, the rest as it
// stands in the log.
func (p *pastParts) joined() (events []logEvent, happenings []happening) {
	for _, part := range slices.Backward(p.kept) {
		events = append(events, part.events...)
		happenings = append(happenings, part.happenings...)
	}
	slices.SortStableFunc(events, func(a, b logEvent) int { return a.at.Compare(b.at) })
	return events, happenings
}

// readFiles reads the local timeline histories.
func (f *pastSurvey) readFiles(ctx context.Context) {
	if f.filesErr = f.local.err; f.instance.Instance == nil {
		return
	}
	f.files, f.filesErr = f.instance.HistoryFiles(ctx)
}

var (
	historyHeading = []string{"TL", "When", "From", "To", "At", "Reason", "WAL lost"}
	historyRight   = []bool{true, false, false, false, true, false, false}
)

// text shows the view to a person.
func (v historyView) text(s style) string {
	var b strings.Builder
	rows := make([][]cell, 0, len(v.Promotions))
	for _, p := range v.Promotions {
		rows = append(rows, p.row())
	}
	if len(rows) == 0 {
		fmt.Fprintf(&b, "%s: no promotion is known here\n", clean(v.Resource))
	} else {
		s.table(&b, historyHeading, historyRight, rows)
	}
	var notes []remark
	for _, text := range v.footnotes() {
		notes = append(notes, remark{Text: text})
	}
	s.section(&b, "Notes", plain, notes)
	return b.String()
}

func (p promotionView) row() []cell {
	orNone := func(text string) cell {
		if text == "" {
			return cell{text: none}
		}
		return cell{text: clip(clean(text), mostReason)}
	}
	when := none
	if p.At != nil {
		when = timeText(*p.At)
		if p.AtMost {
			when = "<= " + when
		}
	}
	reason := p.Reason
	if !p.Lineage && !p.Skipped {
		reason = strings.TrimPrefix(reason+"; not in the cluster's history", "; ")
	}
	return []cell{
		{text: p.Timeline.String()}, {text: when}, orNone(p.From), orNone(p.To), orNone(p.LSN), orNone(reason), p.lostCell(),
	}
}

// mostReason is, in characters, as much of a reason as leaves room for the rest.
const mostReason = 44

func (p promotionView) lostCell() cell {
	switch {
	case p.LostBytes != nil && *p.LostBytes == 0:
		return cell{text: "nothing"}
	case p.LostBytes != nil && p.LostOn != "":
		return cell{bytesText(*p.LostBytes) + " of " + clean(p.LostOn), yellow}
	case p.LostBytes != nil:
		return cell{bytesText(*p.LostBytes) + p.kept(), yellow}
	case p.Settled:
		return cell{text: "no commit"}
	}
	return cell{text: none}
}

func (p promotionView) kept() string {
	if p.Settled {
		return ", no commit"
	}
	return ""
}

// footnotes explain the signs that are in the table, and what it was made from.
func (v historyView) footnotes() (notes []string) {
	has := func(is func(promotionView) bool) bool { return slices.ContainsFunc(v.Promotions, is) }
	if has(func(p promotionView) bool { return p.At != nil && p.AtMost }) {
		notes = append(notes, "<= at that time or before: then this node heard of the timeline")
	}
	if has(func(p promotionView) bool { return p.LostBytes == nil && p.Settled }) {
		notes = append(notes, `"no commit": no acknowledged one is missing, by the rule of synchronous replication (docs/election.md); `+
			"whether more was written on the old primary is not known here")
	}
	if has(func(p promotionView) bool {
		return p.At == nil || p.From == "" || p.To == "" || p.Reason == "" || p.LostBytes == nil && !p.Settled
	}) {
		notes = append(notes, "- not known on this node; the logs of others may tell: what was lost is known to the node that was promoted, "+
			"and to an old primary that came back diverged")
	}
	if v.Log != nil && v.Log.Since != nil {
		notes = append(notes, fmt.Sprintf("the log read here, %s, begins at %s", v.Log.Source, timeText(*v.Log.Since)))
	}
	return append(notes, v.Notes...)
}
