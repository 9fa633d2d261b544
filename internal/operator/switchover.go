package operator

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"pgsqlms/internal/crm"
)

const switchoverName = "switchover"

func switchoverCommand() verb {
	return verb{
		name:    switchoverName,
		purpose: "give the primary's role to a standby, and say how long nobody could write",
		args:    " [NODE]",
		example: "pgsqlms switchover                 # to the standby with the best promotion score; asks first\n" +
			"pgsqlms switchover n2 --dry-run    # what is checked, and what would be done\n" +
			"pgsqlms switchover n2 --yes        # without a question\n",
		setup: func(c *call) {
			c.flags.BoolVar(&c.yes, "yes", false, "do not ask")
			c.flags.BoolVar(&c.dryRun, "dry-run", false, "check, say what would be done, and do nothing")
		},
		run: switchover,
	}
}

func switchover(ctx context.Context, c *call) (ExitCode, error) {
	if len(c.args) > 1 {
		return ExitUsage, usagef("takes one node at most, found %q", c.args[1])
	}
	if err := c.mayAct(); err != nil {
		return ExitUsage, err
	}
	target := ""
	if len(c.args) == 1 {
		target = c.args[0]
	}
	s := newSurveyor(c)
	s.patient = true
	return decide(ctx, c, s, target, func(ctx context.Context, target string) (survey, switchoverPlan, error) {
		found, err := s.survey(ctx, c.now())
		if err != nil {
			return found, switchoverPlan{}, err
		}
		plan := planSwitchover(found, target)
		if !plan.Refused && !plan.Done {
			plan.lasts(found, moveLifetime(plan.Bound, found.coordinatorAhead(ctx)))
		}
		return found, plan, nil
	})
}

// decide shows the plan that a look makes, asks, and has it carried out if it still is the
// one that was agreed to.
func decide(ctx context.Context, c *call, s surveyor, target string, look func(context.Context, string) (survey, switchoverPlan, error)) (ExitCode, error) {
	found, plan, err := look(ctx, target)
	if ctx.Err() != nil {
		return ExitUnknown, errors.New("interrupted, nothing was done")
	}
	if err != nil {
		return ExitUnknown, err
	}
	v := switchoverView{switchoverPlan: plan, Taken: found.taken, Resource: found.resource.Clone, primitive: found.resource.Name, DryRun: c.dryRun}
	if c.output == outputText {
		fmt.Fprint(c.Stdout, v.planText(newStyle(c.Process)))
	}
	switch {
	case v.Refused:
		return v.end(c, outcomeRefused, ExitWrong)
	case v.Done:
		v.Primary = v.From
		return v.end(c, outcomeNothing, ExitWell)
	case c.dryRun:
		return v.end(c, outcomeDryRun, ExitWell)
	}
	if c.yes {
		return newMover(c, s, found, v).carryOut(ctx)
	}
	if !confirmed(ctx, c) {
		return v.end(c, outcomeDeclined, ExitUnknown)
	}
	// The answer may have come hours after the look.
	found, plan, err = look(ctx, v.Target)
	if ctx.Err() != nil {
		return ExitUnknown, errors.New("interrupted, nothing was done")
	}
	if err != nil {
		return ExitUnknown, fmt.Errorf("%w; nothing was done", err)
	}
	v.Reason = plan.changedFrom(v.switchoverPlan)
	v.switchoverPlan, v.Taken = plan, found.taken
	if v.Refused = v.Reason != ""; v.Refused {
		return v.end(c, outcomeRefused, ExitWrong)
	}
	return newMover(c, s, found, v).carryOut(ctx)
}

// changedFrom says what speaks against carrying out what was agreed to; empty for nothing.
func (p switchoverPlan) changedFrom(agreed switchoverPlan) string {
	if p.From != agreed.From {
		return fmt.Sprintf("the primary was %s when you were asked, and is %s now", agreed.From, orUnknown(p.From, true))
	}
	var wrong []string
	for _, one := range p.Checks {
		if one.Level == levelError {
			wrong = append(wrong, one.Check+": "+one.Found)
		}
	}
	if len(wrong) > 0 {
		return "since you were asked, " + strings.Join(wrong, "; ")
	}
	return ""
}

// coordinatorAhead is by how much the clock of the coordinator's node is ahead of this
// node's; 0 where this is that node, or PostgreSQL there cannot be asked.
func (f *survey) coordinatorAhead(ctx context.Context) time.Duration {
	if other, asked := f.others[f.state.DC]; !asked || !other.ok() { // this node is none of them
		return 0
	}
	ctx, cancel := context.WithTimeout(ctx, neighbourWait)
	defer cancel()
	conninfo, err := f.instance.Conninfo(ctx)
	if err != nil {
		return 0
	}
	there, err := f.instance.CheckupAt(ctx, conninfo.At(f.state.DC))
	if err != nil {
		return 0
	}
	return there.Ahead
}

// confirmed asks, and takes only yes for yes. Ctrl-C is a no.
func confirmed(ctx context.Context, c *call) bool {
	fmt.Fprint(c.Stdout, "\nDo it? yes or no: ")
	answer := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(c.Stdin).ReadString('\n')
		answer <- strings.ToLower(strings.TrimSpace(line))
	}()
	select {
	case <-ctx.Done():
		fmt.Fprintln(c.Stdout)
		return false
	case text := <-answer:
		return text == "yes" || text == "y"
	}
}

// The bounds of a switchover that do not follow from the operations' timeouts.
const (
	askEvery  = 200 * time.Millisecond // between two questions to PostgreSQL
	quietWait = 2 * time.Second        // for nothing to be under way, once the constraint is gone: what Pacemaker makes of that begins within a second
)

// mover carries a switchover out.
type mover struct {
	c     *call
	crm   *crm.Cluster
	found survey
	v     switchoverView
	began time.Time
	every time.Duration // between two looks
	moved time.Time     // when the target was first seen with the role, and with the best score
	said  progress

	followerWait time.Duration
	settleWait   time.Duration
}

func newMover(c *call, s surveyor, found survey, v switchoverView) *mover {
	return &mover{c: c, crm: s.crm, found: found, v: v, every: lookEvery, followerWait: followerWait, settleWait: quietWait, said: progress{
		resource: found.resource.Name, from: v.From, target: v.Target, followers: v.Followers, before: found.state.Failures,
	}}
}

// carryOut moves the role, waits, and removes the constraint, on every way out: that part
// runs on when ctx has ended.
func (m *mover) carryOut(ctx context.Context) (ExitCode, error) {
	stop := outliveReaders()
	defer stop()

	asked, stopAsking := context.WithCancel(ctx)
	defer stopAsking()
	gap := startGap(asked, m.c, m.askers(ctx))
	m.began = m.c.now()
	m.say("asks Pacemaker to move the role to " + m.v.Target)

	m.c.held.Store(&held{constraint: crm.MoveID(m.found.resource.Clone), liftOnce: m.unmoveOnce, byHand: m.v.clearByHand()})
	// Killed half-way it may have made the constraint or not, so Ctrl-C does not end it.
	uninterrupted := context.WithoutCancel(ctx)
	bounded, cancel := context.WithTimeout(uninterrupted, constraintWait)
	err := m.crm.MovePromoted(bounded, m.found.resource.Clone, m.v.Target, m.found.state.Version, m.v.lifetime)
	cancel()
	if err != nil {
		m.v.Outcome, m.v.Reason = outcomeFailed, first(err)
	} else {
		m.v.Outcome, m.v.Reason = m.wait(ctx)
	}
	m.v.Seconds = m.c.now().Sub(m.began).Seconds()
	m.unmove(uninterrupted)
	switch m.v.Outcome {
	case outcomeCancelled:
		m.awaitReturn(ctx)
	case outcomeDone, outcomeUnfollowed:
		m.awaitQuiet(ctx)
	}
	moved := m.v.Outcome == outcomeDone || m.v.Outcome == outcomeUnfollowed
	if known := m.last(uninterrupted); known && moved && m.v.Cleared && m.v.Primary != m.v.Target {
		m.v.Outcome = outcomeReturned
	}
	stopAsking()
	m.v.measure(gap.wait(), m.said)
	return m.finish()
}

// wait looks until the role is where it should be, has been refused, or the bound is over.
func (m *mover) wait(ctx context.Context) (outcome, string) {
	bounded, cancel := context.WithTimeout(ctx, m.v.Bound)
	defer cancel()
	for {
		if state, err := m.look(bounded); err == nil {
			if o, reason := m.outcomeOf(bounded, state); o != "" {
				return o, reason
			}
		}
		switch m.pause(bounded); {
		case ctx.Err() != nil:
			return outcomeInterrupted, "interrupted"
		case bounded.Err() != nil:
			return outcomeTimeout, fmt.Sprintf("not done within %s", durationText(m.v.Bound))
		}
	}
}

// outcomeOf is what a look means; empty where it is to be waited on.
func (m *mover) outcomeOf(ctx context.Context, state crm.State) (outcome, string) {
	if reason, refused := m.said.refused(state); refused {
		m.v.byAgent = true
		return outcomeCancelled, reason
	}
	if other := m.said.elsewhere(state); other != "" {
		return outcomeElsewhere, other + " was promoted meanwhile"
	}
	if reason, lost := m.said.lost(state); lost {
		return outcomeCancelled, reason
	}
	if !m.said.moved(state) || m.moved.IsZero() && !m.isBest(ctx) {
		return "", ""
	}
	if m.moved.IsZero() {
		m.moved = m.c.now()
	}
	missing := m.said.missing(state)
	switch {
	case len(missing) == 0:
		return outcomeDone, ""
	case m.c.now().Sub(m.moved) >= m.followerWait:
		m.v.NotStarted = missing
		return outcomeUnfollowed, fmt.Sprintf("%s did not start there within %s", strings.Join(missing, ", "), durationText(m.followerWait))
	}
	return "", ""
}

func (m *mover) pause(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(m.every):
	}
}

// look asks Pacemaker once, and says what is new.
func (m *mover) look(ctx context.Context) (crm.State, error) {
	bounded, cancel := context.WithTimeout(ctx, patientTool)
	defer cancel()
	state, err := m.crm.State(bounded)
	if err != nil {
		return state, err
	}
	for _, line := range m.said.advance(state, m.c.now()) {
		m.say(line)
	}
	return state, nil
}

// isBest keeps the constraint until the new primary's score is written: without either,
// Pacemaker would take the role away from it again.
func (m *mover) isBest(ctx context.Context) bool {
	bounded, cancel := context.WithTimeout(ctx, patientTool)
	defer cancel()
	cib, err := m.crm.CIB(bounded)
	return err == nil && bestScored(cib, m.found.resource, m.v.Target)
}

// unmove removes the constraint that this switchover made.
func (m *mover) unmove(ctx context.Context) {
	m.v.ClearError, m.v.Cleared = m.c.lift(ctx)
	if m.v.Cleared {
		m.say("the constraint is removed")
	}
}

func (m *mover) unmoveOnce(ctx context.Context) error {
	clone := m.found.resource.Clone
	return liftOnce(ctx, m.crm,
		func(ctx context.Context) error { return m.crm.Unmove(ctx, clone, m.v.Target) },
		func(l crm.Location) bool { return l.ID == crm.MoveID(clone) && l.Node == m.v.Target })
}

// awaitReturn waits, after a refusal, until some node is promoted again.
func (m *mover) awaitReturn(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, m.v.Bound)
	defer cancel()
	for ctx.Err() == nil {
		if state, err := m.look(ctx); err == nil && len(state.Primaries(m.found.resource.Name)) > 0 {
			return
		}
		m.pause(ctx)
	}
}

// awaitQuiet waits, once the constraint is gone, until there is one primary and nothing is
// under way: a preference may give the role to another node now.
func (m *mover) awaitQuiet(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, m.v.Bound)
	defer cancel()
	var since time.Time // the first of the quiet looks in a row: a slow one alone is none
	for ctx.Err() == nil {
		state, err := m.look(ctx)
		switch now := m.c.now(); {
		case err != nil || m.said.busy(state) || len(state.Primaries(m.found.resource.Name)) != 1:
			since = time.Time{}
		case since.IsZero():
			since = now
		case now.Sub(since) >= m.settleWait:
			return
		}
		m.pause(ctx)
	}
}

// last says who is the primary in the end, and whether that is known.
func (m *mover) last(ctx context.Context) (known bool) {
	state, err := m.look(ctx)
	if err == nil {
		m.v.Primary = strings.Join(state.Primaries(m.found.resource.Name), ", ")
	}
	return err == nil
}

func (m *mover) say(line string) { m.c.tell(m.began, line) }

func (m *mover) finish() (ExitCode, error) {
	code := ExitWrong
	switch {
	case m.v.Outcome == outcomeDone && m.v.Cleared:
		code = ExitWell
	case m.v.Outcome == outcomeFailed, m.v.Outcome == outcomeInterrupted, m.v.Outcome == outcomeTimeout:
		code = ExitUnknown
	}
	return m.v.end(m.c, m.v.Outcome, code)
}
