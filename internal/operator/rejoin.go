package operator

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"pgsqlms/internal/pg"
	"pgsqlms/internal/wal"
)

func rejoinCommand() verb {
	return verb{
		name:    "rejoin",
		purpose: "repair this node's diverged or lost standby, with pg_rewind or a new copy of the primary",
		example: "pgsqlms rejoin --dry-run        # what is wrong here, what would be lost, what would be done\n" +
			"pgsqlms rejoin                  # asks first; the old data are kept beside the new ones\n" +
			"pgsqlms rejoin --discard-old    # where there is no room for both\n",
		setup: func(c *call) {
			c.flags.BoolVar(&c.yes, "yes", false, "do not ask")
			c.flags.BoolVar(&c.dryRun, "dry-run", false, "look, say what would be done, and do nothing")
			c.flags.BoolVar(&c.discard, "discard-old", false, "do not keep the old data: pg_rewind works in place, and pg_basebackup may remove them first")
			c.flags.BoolVar(&c.clone, "clone", false, "make a new copy with pg_basebackup, also where pg_rewind could do, or the standby could follow")
			c.flags.BoolVar(&c.checkpoint, "checkpoint", false, "have the primary make its checkpoint at once, instead of waiting for it")
		},
		run: rejoin,
	}
}

func rejoin(ctx context.Context, c *call) (ExitCode, error) {
	if err := c.mayAct(); err != nil {
		return ExitUsage, err
	}
	s := newSurveyor(c)
	s.patient = true
	return rejoinBy(ctx, c, s)
}

func rejoinBy(ctx context.Context, c *call, s surveyor) (ExitCode, error) {
	facts, plan, err := s.planForRejoin(ctx, c)
	v := rejoinView{
		rejoinPlan: rejoinPlan{Node: facts.node, Primary: facts.primary, Checks: findings{}, Steps: []string{}},
		Taken:      facts.taken, Resource: facts.resource.Clone, primitive: facts.resource.Name, DryRun: c.dryRun,
	}
	switch {
	case errors.Is(err, errHangs):
		return v.undone(c, outcomeFailed, ExitUnknown, err.Error())
	case err != nil:
		return ExitUnknown, err
	}
	v.rejoinPlan = plan
	if c.output == outputText {
		fmt.Fprint(c.Stdout, v.planText(newStyle(c.Process)))
	}
	switch {
	case v.Nothing:
		return v.end(c, outcomeNothing, ExitWell)
	case v.Refused:
		return v.end(c, outcomeRefused, ExitWrong)
	case c.dryRun:
		return v.end(c, outcomeDryRun, ExitWell)
	}
	if !c.yes && !confirmed(ctx, c) {
		return v.end(c, outcomeDeclined, ExitUnknown)
	}
	return newRejoiner(c, s, facts, v).carryOut(ctx)
}

// planForRejoin looks, and plans. How large the primary is, which takes it a while, it asks
// only where the plan goes by that.
func (s surveyor) planForRejoin(ctx context.Context, c *call) (rejoinFacts, rejoinPlan, error) {
	facts, err := s.lookForRejoin(ctx, c.now())
	if err != nil {
		return facts, rejoinPlan{}, err
	}
	plan := planRejoin(facts, c.rejoinChoices())
	if !plan.bySize || facts.sqlErr != nil {
		return facts, plan, nil
	}
	bounded, cancel := context.WithTimeout(ctx, sizeWait)
	defer cancel()
	facts.upSize, _ = facts.instance.AskSize(bounded, facts.from)
	if ctx.Err() != nil {
		return facts, plan, errNothingDone
	}
	return facts, planRejoin(facts, c.rejoinChoices()), nil
}

// errNothingDone says that a command has ended before it did anything.
var errNothingDone = errors.New("interrupted, nothing was done")

// lookForRejoin looks at the cluster, at this node's data and at the primary. An error that
// wraps errHangs says that the data do not answer, which is no damage that new ones would mend.
func (s surveyor) lookForRejoin(ctx context.Context, now time.Time) (rejoinFacts, error) {
	found, err := s.survey(ctx, now)
	if err != nil {
		return rejoinFacts{survey: found}, err
	}
	if found.instance.Instance == nil {
		return rejoinFacts{survey: found}, found.local.err // its parameters
	}
	facts := gatherRejoin(ctx, found)
	if ctx.Err() != nil {
		return facts, errNothingDone
	}
	if err := facts.hangs(); err != nil {
		return facts, fmt.Errorf("%w; mend the storage first", err)
	}
	return facts, nil
}

// choices are what the command line says of how to repair.
type choices struct {
	discard    bool // the old data
	clone      bool // even where it could be rewound
	checkpoint bool // at once
}

func (c *call) rejoinChoices() choices {
	return choices{discard: c.discard, clone: c.clone, checkpoint: c.checkpoint}
}

// rejoinFacts are what a repair of this node is judged by, besides the survey.
type rejoinFacts struct {
	survey
	primary string // the one promoted node; empty without

	programs    int // major version of the programs here
	programsErr error
	data        int // of the data
	dataErr     error
	restore     string // restore_command; empty also where it could not be asked for
	slot        string // primary_slot_name
	settingsErr error  // of these two
	toolsErr    error

	premises    pg.Premises
	premisesErr error
	disk        pg.RejoinControl // this node's pg_control, running or not
	diskErr     error
	end         wal.Position // where the log of an instance that does not run ends; zero if unknown

	from    pg.Conninfo // how the primary is reached
	fromErr error
	up      pg.Source
	upSQL   pg.RewindSource // what it says over SQL
	sqlErr  error
	upSize  uint64 // bytes of its databases; 0 where it has not said so in time, or was not asked

	asked    pg.Upstream // of an instance that runs and does not stream
	askedErr error
}

// The bounds of what a rejoin looks at before it asks.
const (
	sizeWait   = time.Minute     // for the size of the data directory, here and of the primary, with very many files
	dataWait   = 2 * patientTool // for pg_controldata or a setting: a program runs twice, and under load each takes as long as one of Pacemaker's
	endWait    = 6 * time.Second // for the end of the local log, which is read; see pg.StoppedEnd
	sourceWait = 5 * time.Second // for the primary to answer
)

// gatherRejoin looks at this node's data and at the primary.
func gatherRejoin(ctx context.Context, found survey) rejoinFacts {
	f := rejoinFacts{survey: found, askedErr: errNotAsked, fromErr: errNotAsked, sqlErr: errNotAsked}
	f.primary, _ = found.sourceNode()
	bounded, cancel := context.WithTimeout(ctx, sizeWait)
	f.premises, f.premisesErr = f.instance.Premises(bounded)
	cancel()
	i := f.instance
	if f.premises.Aside != "" {
		i.Instance = i.Instance.Aside(f.premises.Aside)
	}
	f.lookAtData(ctx, i)
	if f.primary == "" || f.primary == f.node {
		return f
	}
	var replayed wal.Position
	if f.stopped() && f.diskErr == nil {
		bounded, cancel = context.WithTimeout(ctx, endWait)
		replayed, f.end = i.StoppedEnd(bounded, f.disk)
		cancel()
	}
	f.askSource(ctx, i, replayed)
	if streams, _ := f.streams(); f.local.ok() && f.local.report.InRecovery && !streams {
		bounded, cancel = context.WithTimeout(ctx, sourceWait)
		f.asked, f.askedErr = i.AskPrimary(bounded)
		cancel()
	}
	return f
}

// sourceNode is the one promoted node, from which the data come, and who is promoted. Neither a
// node that survey.promoted leaves out is one, nor one on which Pacemaker does not act: its
// instance may be none of the cluster's by the next moment.
func (f *survey) sourceNode() (node, who string) {
	promoted := f.state.Promoted(f.resource.Name)
	if len(promoted) != 1 {
		return "", orNone(promoted)
	}
	member, _ := f.state.Node(promoted[0])
	switch {
	case !serves(member):
		return "", promoted[0] + ", which" + nodeText(member)
	case f.promoted() == "":
		return "", promoted[0] + ", whose promotion failed"
	}
	return promoted[0], promoted[0]
}

// hangs is the first that was given up of what was looked at.
func (f *rejoinFacts) hangs() error {
	for _, err := range []error{f.local.err, f.runsErr, f.ctrlErr, f.programsErr, f.diskErr, f.dataErr, f.toolsErr, f.premisesErr} {
		if errors.Is(err, errHangs) {
			return err
		}
	}
	return nil
}

// lookAtData looks at the data, and at the programs.
func (f *rejoinFacts) lookAtData(ctx context.Context, i instance) {
	bounded, cancel := context.WithTimeout(ctx, dataWait)
	f.programs, f.programsErr = i.ProgramVersion(bounded)
	cancel()
	bounded, cancel = context.WithTimeout(ctx, dataWait)
	f.disk, f.diskErr = i.RejoinControl(bounded)
	cancel()
	f.data, f.dataErr = i.RejoinVersion(ctx)
	f.toolsErr = i.HasRejoinTools(ctx)
	bounded, cancel = context.WithTimeout(ctx, dataWait)
	defer cancel()
	const restore, slot = "restore_command", "primary_slot_name"
	settings, err := i.RejoinSettings(bounded, restore, slot)
	f.restore, f.slot, f.settingsErr = settings[restore], settings[slot], err
}

// askSource finds a way to the primary: by its node's name, or by the address in
// primary_conninfo.
func (f *rejoinFacts) askSource(ctx context.Context, i instance, replayed wal.Position) {
	ctx, cancel := context.WithTimeout(ctx, 4*sourceWait) // for primary_conninfo, either server, and SQL
	defer cancel()
	conninfo, err := f.instance.RejoinConninfo(ctx)
	if err == nil && conninfo.Empty() {
		err = errors.New("primary_conninfo is not set")
	}
	if f.fromErr = err; err != nil {
		return
	}
	for _, from := range []pg.Conninfo{conninfo.At(f.primary), conninfo} {
		bounded, cancel := context.WithTimeout(ctx, sourceWait)
		up, err := i.AskSource(bounded, from, replayed, f.end)
		cancel()
		if err == nil && up.Standby {
			err = fmt.Errorf("what answers there is a standby, expected the primary on %s", f.primary)
		}
		if err != nil {
			if f.fromErr == nil {
				f.fromErr = err // of the node's own name, which says more
			}
			continue
		}
		f.from, f.fromErr, f.up = from, nil, up
		bounded, cancel = context.WithTimeout(ctx, sourceWait)
		f.upSQL, f.sqlErr = f.instance.AskRewindSource(bounded, from)
		cancel()
		return
	}
}

// stopped says that nothing of the data directory runs, for certain.
func (f *rejoinFacts) stopped() bool {
	return !f.local.ok() && !errors.Is(f.local.err, errNotAsked) && f.runsErr == nil && !f.runs.Running()
}

// streams says whether this node's instance is a standby that streams from the primary, or
// why a WAL receiver that says so is not believed; of one that is, what could not be looked
// at. One that is behind the replay has diverged: PostgreSQL streams the end of the timeline
// that both have, again and again.
func (f *rejoinFacts) streams() (yes bool, doubt string) {
	r := f.local.report
	streams, again := r.Streams()
	if !f.local.ok() || !r.InRecovery || !streams && !again {
		return false, ""
	}
	from := net.JoinHostPort(r.Receiver.Host, r.Receiver.Port)
	if again {
		return false, fmt.Sprintf("it streams from %s what it has replayed long since: received up to %s, replayed up to %s", from, r.Receive, r.Replay)
	}
	if f.fromErr == nil && r.Receiver.Timeline != f.up.End.Timeline {
		return false, fmt.Sprintf("it streams timeline %d from %s; %s writes timeline %d", r.Receiver.Timeline, from, f.primary, f.up.End.Timeline)
	}
	return f.sentTo(from)
}

// sentTo asks the primary's pg_stat_replication whether it sends to this node.
func (f *rejoinFacts) sentTo(from string) (yes bool, doubt string) {
	there, asked := f.others[f.primary]
	if !asked {
		there.err = errNotAsked
	}
	if !there.ok() && f.byAddress.ok() && !f.byAddress.report.InRecovery {
		there = f.byAddress
	}
	if !there.ok() {
		return true, fmt.Sprintf("it streams from %s; %s does not say whether to this node: %s", from, f.primary, first(there.err))
	}
	switch row := rowOf(&there.report, f.node); {
	case row == nil:
		return false, fmt.Sprintf("it streams from %s, and %s has no standby of the name %s", from, f.primary, f.node)
	case row.State != "" && row.State != "streaming": // without the right to see it there is none
		return false, fmt.Sprintf("it streams from %s; for %s it is in state %s", from, f.primary, row.State)
	}
	return true, ""
}
