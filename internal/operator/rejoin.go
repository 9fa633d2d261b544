package operator

import (
	"context"
	"errors"
	"fmt"
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
	found, err := s.survey(ctx, c.now())
	if err != nil {
		return ExitUnknown, err
	}
	if found.instance.Instance == nil {
		return ExitUnknown, found.local.err // its parameters
	}
	facts := gatherRejoin(ctx, found)
	if ctx.Err() != nil {
		return ExitUnknown, errors.New("interrupted, nothing was done")
	}
	if err := facts.hangs(); err != nil { // which is no damage that new data would mend
		return ExitUnknown, fmt.Errorf("%w; nothing was done; to do: mend the storage first", err)
	}
	v := rejoinView{
		rejoinPlan: planRejoin(facts, c.rejoinChoices()), Taken: found.taken, Resource: found.resource.Clone, primitive: found.resource.Name, DryRun: c.dryRun,
	}
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

	asked    pg.Upstream // of an instance that runs and does not stream
	askedErr error
}

// The bounds of what a rejoin looks at before it asks.
const (
	sizeWait   = time.Minute     // for the size of the data directory, with very many files
	endWait    = 6 * time.Second // for the end of the local log, which is read; see pg.StoppedEnd
	sourceWait = 5 * time.Second // for the primary to answer
)

// gatherRejoin looks at this node's data and at the primary.
func gatherRejoin(ctx context.Context, found survey) rejoinFacts {
	f := rejoinFacts{survey: found, askedErr: errNotAsked, fromErr: errNotAsked, sqlErr: errNotAsked}
	if promoted := found.state.Promoted(found.resource.Name); len(promoted) == 1 {
		f.primary = promoted[0]
	}
	i := f.instance
	bounded, cancel := context.WithTimeout(ctx, toolWait)
	f.programs, f.programsErr = i.ProgramVersion(bounded)
	f.disk, f.diskErr = i.RejoinControl(bounded)
	cancel()
	f.data, f.dataErr = i.Version(ctx)
	f.toolsErr = i.HasRejoinTools(ctx)
	bounded, cancel = context.WithTimeout(ctx, sizeWait)
	f.premises, f.premisesErr = i.Premises(bounded)
	cancel()
	if f.primary == "" || f.primary == f.node {
		return f
	}
	var replayed wal.Position
	if f.stopped() && f.diskErr == nil {
		bounded, cancel = context.WithTimeout(ctx, endWait)
		replayed, f.end = i.StoppedEnd(bounded, f.disk)
		cancel()
	}
	f.askSource(ctx, replayed)
	if f.local.ok() && f.local.report.InRecovery && !f.streams() {
		bounded, cancel = context.WithTimeout(ctx, sourceWait)
		f.asked, f.askedErr = i.AskPrimary(bounded)
		cancel()
	}
	return f
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

// askSource finds a way to the primary: by its node's name, or by the address in
// primary_conninfo.
func (f *rejoinFacts) askSource(ctx context.Context, replayed wal.Position) {
	ctx, cancel := context.WithTimeout(ctx, 2*sourceWait)
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
		up, err := f.instance.AskSource(bounded, from, replayed, f.end)
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

// streams says that this node's instance is a standby that receives.
func (f *rejoinFacts) streams() bool {
	r := f.local.report
	return f.local.ok() && r.InRecovery && r.Receiver != nil && r.Receiver.Status == "streaming"
}
