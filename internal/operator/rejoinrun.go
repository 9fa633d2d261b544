package operator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"pgsqlms/internal/crm"
	"pgsqlms/internal/pg"
	"pgsqlms/internal/wal"
	"pgsqlms/metadata"
)

// The bounds of a rejoin that do not follow from the operations' timeouts.
const (
	leastCheckpointWait = 40 * time.Minute // for the primary's checkpoint, see checkpointWait
	checkpointEnd       = 5 * time.Minute  // for the end of a checkpoint, the sync of all files, which PostgreSQL does not spread
	recoverWait         = 2 * time.Hour    // for crash recovery, of which PostgreSQL tells no progress in single-user mode
	stallWait           = time.Hour        // for pg_rewind or pg_basebackup to tell of progress; see copyStall
	primaryWait         = time.Minute      // for a primary that does not answer: a failover is over by then, and shows
	streamWait          = 2 * time.Minute  // for a standby that is up to stream, beside the time that its start may take
	settleWait          = 10 * time.Second // for Pacemaker to forget a failure
)

// atOnce is what is said where the primary's checkpoint is waited for.
const atOnce = "--checkpoint asks for it at once"

// rejoiner carries a repair out.
type rejoiner struct {
	c     *call
	crm   *crm.Cluster
	found rejoinFacts
	v     rejoinView
	began time.Time
	every time.Duration // between two looks
	meter meter
	work  *pg.Rejoin
	clean bool   // the data were shut down
	ready bool   // the new data are in place
	last  answer // of the instance with the new data

	// The primary, by itself for the tests of one that goes away.
	askSource  func(context.Context) (pg.Source, error)
	askRewind  func(context.Context) (pg.RewindSource, error)
	askPrimary func(context.Context, rejoinFacts) answer
	tryBackup  func(context.Context) error

	// The instance with the new data, and what it is told; by themselves for the tests of one that does not stream.
	askSelf     func(context.Context) (pg.Report, error)
	askUpstream func(context.Context) (pg.Upstream, error)

	// look is everything once more, by itself for the tests of what has changed meanwhile.
	look func(context.Context) (rejoinFacts, rejoinPlan, error)
}

func newRejoiner(c *call, s surveyor, found rejoinFacts, v rejoinView) *rejoiner {
	r := &rejoiner{c: c, crm: s.crm, found: found, v: v, every: lookEvery}
	r.askSource = func(ctx context.Context) (pg.Source, error) {
		return r.found.instance.AskSource(ctx, r.found.from, wal.Position{}, wal.Position{})
	}
	r.askRewind = func(ctx context.Context) (pg.RewindSource, error) {
		return r.found.instance.AskRewindSource(ctx, r.found.from)
	}
	r.askPrimary = func(ctx context.Context, now rejoinFacts) answer { return now.ask(ctx, now.from) }
	r.tryBackup = func(ctx context.Context) error { return r.found.instance.TryBackup(ctx, r.found.from) }
	r.askSelf = func(ctx context.Context) (pg.Report, error) { return r.found.instance.Report(ctx) }
	r.askUpstream = func(ctx context.Context) (pg.Upstream, error) { return r.found.instance.AskPrimary(ctx) }
	r.look = func(ctx context.Context) (rejoinFacts, rejoinPlan, error) {
		return s.planForRejoin(ctx, c)
	}
	r.meter = meter{terminal: c.Terminal, columns: newStyle(c.Process).columns, now: c.now}
	if c.output == outputText {
		r.meter.out = c.Stdout
	}
	return r
}

// carryOut keeps Pacemaker away, makes new data, and lets Pacemaker in again, on every way
// out: that part runs on when ctx has ended.
func (r *rejoiner) carryOut(ctx context.Context) (ExitCode, error) {
	stop := outliveReaders()
	defer stop()

	r.began = r.c.now()
	var err error
	if r.work, err = r.found.instance.LockRejoin(); err != nil {
		return r.v.undone(r.c, outcomeFailed, ExitUnknown, err.Error())
	}
	defer r.work.Close()
	if o, code := r.lookAgain(ctx); o != "" {
		return r.v.undone(r.c, o, code, r.v.Reason)
	}
	uninterrupted := context.WithoutCancel(ctx)
	r.c.held.Store(&held{constraint: r.v.constraint(), liftOnce: r.releaseOnce, byHand: r.v.clearByHand(), rest: "whatever it has made in " + r.work.Dir() +
		" is left, and keeps PostgreSQL from being started; to do: pgsqlms rejoin, which takes it over"})
	if r.v.onlyRelease {
		r.ready = true
	} else if err = r.keepAway(uninterrupted); err == nil {
		err = r.repair(ctx)
	}
	r.meter.end()
	r.release(uninterrupted)
	o, code := r.ending(ctx, err)
	r.v.Seconds = r.c.now().Sub(r.began).Seconds()
	return r.v.end(r.c, o, code)
}

// ending is how it has come out; once the new data are in place, after the wait for them to
// stream.
func (r *rejoiner) ending(ctx context.Context, err error) (outcome, ExitCode) {
	r.v.Left = r.work.Left()
	switch {
	case ctx.Err() != nil && !r.ready:
		r.v.Reason = "interrupted"
		return outcomeInterrupted, ExitUnknown
	case err != nil:
		r.v.Reason = err.Error()
		return outcomeFailed, ExitUnknown
	case !r.v.Cleared:
		r.v.Reason = "the constraint keeps Pacemaker from starting it"
		return outcomeNotStreaming, ExitWrong
	}
	err = r.bringUp(ctx)
	switch {
	case err == nil:
		return outcomeDone, ExitWell
	case ctx.Err() != nil:
		r.v.Reason, r.v.Placed = "interrupted", r.v.Used != ""
		return outcomeInterrupted, ExitUnknown
	}
	r.v.Reason = err.Error()
	return outcomeNotStreaming, ExitWrong
}

// lookAgain looks at everything once more, under the lock: the question may have been answered
// hours after it was asked, and another rejoin may have been here. What was planned is done if
// it is still what there is to do; else the outcome says what has become of it.
func (r *rejoiner) lookAgain(ctx context.Context) (o outcome, code ExitCode) {
	r.say("looks again whether all is as it was")
	was := r.v.rejoinPlan
	found, now, err := r.look(ctx)
	switch {
	case ctx.Err() != nil:
		r.v.Reason = "interrupted"
		return outcomeInterrupted, ExitUnknown
	case err != nil:
		r.v.Reason = err.Error()
		return outcomeFailed, ExitUnknown
	}
	r.found, r.v.rejoinPlan = found, now
	switch changed := was.changedTo(now); {
	case now.Nothing:
		return outcomeNothing, ExitWell
	case changed != "":
		r.v.Reason = "by now " + changed + "; run it again"
		return outcomeRefused, ExitWrong
	}
	return "", ExitWell
}

// changedTo says what of a plan is another in a later one: nobody has said yes to that.
func (p rejoinPlan) changedTo(now rejoinPlan) string {
	for _, check := range now.Checks {
		if check.Level == levelError {
			return check.Found + ", expected " + firstNonEmpty(check.Expected, "otherwise")
		}
	}
	switch {
	case now.Primary != p.Primary:
		return fmt.Sprintf("the primary is %s, and it was %s", now.Primary, p.Primary)
	case now.Way != p.Way, now.InPlace != p.InPlace, now.onlyRelease != p.onlyRelease:
		return fmt.Sprintf("it would be a %s (%s), and it was to be a %s (%s)", now.Way, firstNonEmpty(now.WhyClone, now.Ailment), p.Way, firstNonEmpty(p.WhyClone, p.Ailment))
	case (now.DropFirst || now.noRoom) && !p.DropFirst && !p.noRoom:
		return "there is no room any more for old and new data side by side"
	case now.LostBytes != nil && (p.LostBytes == nil || *now.LostBytes > *p.LostBytes):
		return "more would be lost: " + now.Lost
	case slices.ContainsFunc(now.LostSlots, func(slot string) bool { return !slices.Contains(p.LostSlots, slot) }):
		return "more would be lost: " + strings.Join(now.lostSlots, "; ")
	}
	return ""
}

// keepAway makes the constraint, while the primary is the one of the plan: where this node has
// become it, the constraint would demote it. One that a rejoin that was killed has left is
// taken over.
func (r *rejoiner) keepAway(ctx context.Context) error {
	r.say("tells Pacemaker to keep %s away from %s", r.found.resource.Clone, r.v.Node)
	ctx, cancel := context.WithTimeout(ctx, constraintWait)
	defer cancel()
	state, err := r.crm.State(ctx)
	if err == nil {
		err = r.stillPrimary(state)
	}
	if err != nil {
		return fmt.Errorf("%w; nothing was done", err)
	}
	cib, err := r.crm.CIB(ctx)
	if err != nil {
		return fmt.Errorf("%w; nothing was done", err)
	}
	if slices.ContainsFunc(cib.Locations, r.isOurs) {
		return nil
	}
	return r.crm.Keep(ctx, r.found.resource.Clone, r.v.Node)
}

func (v rejoinView) constraint() string { return crm.RejoinID(v.Resource, v.Node) }

// release removes the constraint.
func (r *rejoiner) release(ctx context.Context) {
	r.v.ClearError, r.v.Cleared = r.c.lift(ctx)
	if r.v.Cleared {
		r.say("the constraint is removed")
	}
}

func (r *rejoiner) releaseOnce(ctx context.Context) error {
	return liftOnce(ctx, r.crm, func(ctx context.Context) error { return r.crm.Release(ctx, r.found.resource.Clone, r.v.Node) }, r.isOurs)
}

func (r *rejoiner) isOurs(l crm.Location) bool { return l.ID == r.v.constraint() }

// repair makes the new data and puts them in their place. Whatever of it fails leaves the
// data as they were, or what it has made in a place that keeps them from being started.
func (r *rejoiner) repair(ctx context.Context) (err error) {
	if err := r.awaitStopped(ctx); err != nil {
		return err
	}
	defer func() { err = r.giveUp(err) }()
	if err := r.work.TakeBack(); err != nil {
		return err
	}
	switch r.v.Way {
	case waySweep:
		r.say("removes %s", r.work.Dir())
		unfinished, err := r.work.Abandon()
		if err == nil && unfinished {
			err = errors.New("the data are not whole, and what was put aside of them stays")
		}
		r.ready = err == nil
		return err
	case wayRewind:
		if err := r.beforeRewind(ctx); err != nil {
			return err
		}
	}
	if err := r.work.Begin(ctx); err != nil {
		return err
	}
	if err := r.make(ctx); err != nil {
		return err
	}
	r.say("puts the new data in their place, with this node's own files")
	r.v.Kept, err = r.work.Finish(r.v.Keep, r.c.now())
	r.ready = err == nil
	return err
}

// giveUp leaves nothing behind that is of no use. Where only that had failed, nothing has.
func (r *rejoiner) giveUp(why error) error {
	if why == nil {
		return nil
	}
	unfinished, err := r.work.Abandon()
	r.v.Placed = r.work.Placed()
	if unfinished || err != nil {
		r.v.HalfDone = r.work.Dir()
	} else if r.v.Placed { // and nothing is left to be said of it
		r.v.Placed, r.ready = false, true
		return nil
	}
	return errors.Join(why, err)
}

// awaitStopped waits until Pacemaker has stopped the instance, and looks itself whether
// anything of it runs.
func (r *rejoiner) awaitStopped(ctx context.Context) error {
	resource := r.found.resource
	wait := timeoutOf(resource, metadata.Stop) + 2*timeoutOf(resource, metadata.Notify) + settleWait
	bounded, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	for {
		var missing string
		state, err := r.state(bounded)
		processes, runErr := r.found.instance.Processes(bounded)
		placed, runs := state.On(resource.Name, r.v.Node)
		switch {
		case err != nil:
			missing = first(err)
		case runs && placed.Role != crm.RoleStopped:
			missing = "Pacemaker holds it for " + string(placed.Role)
		case runErr != nil:
			missing = first(runErr)
		case processes.Running():
			missing = fmt.Sprintf("postmaster %d, orphans %v", processes.Postmaster, processes.Orphans)
		default:
			r.say("PostgreSQL does not run here")
			if err := r.stillPrimary(state); err != nil {
				return fmt.Errorf("%w; nothing was done", err)
			}
			return nil
		}
		if err := r.pause(bounded); err != nil {
			return fmt.Errorf("PostgreSQL was not stopped here within %s: %s", durationText(wait), missing)
		}
	}
}

func (r *rejoiner) pause(ctx context.Context) error {
	select {
	case <-ctx.Done():
	case <-time.After(r.every):
	}
	return ctx.Err()
}

func (r *rejoiner) state(ctx context.Context) (crm.State, error) {
	bounded, cancel := context.WithTimeout(ctx, toolWait)
	defer cancel()
	return r.crm.State(bounded)
}

// stillPrimary says whether Pacemaker holds the same node for the primary, and no other, by
// the rule by which it was chosen.
func (r *rejoiner) stillPrimary(state crm.State) error {
	now := r.found.survey
	now.state = state
	if node, who := now.sourceNode(); node != r.v.Primary {
		return fmt.Errorf("%s is no longer the primary: promoted is %s", r.v.Primary, who)
	}
	return nil
}

// sourceStands asks again, before old data are touched or given up: the primary has to be
// the one that the plan was made for, and there.
func (r *rejoiner) sourceStands(ctx context.Context) error {
	bounded, cancel := context.WithTimeout(ctx, patientTool)
	state, err := r.crm.State(bounded)
	cancel()
	if err == nil {
		err = r.stillPrimary(state)
	}
	if err != nil {
		return err
	}
	bounded, cancel = context.WithTimeout(ctx, sourceWait)
	defer cancel()
	s, err := r.askSource(bounded)
	was := r.found.up
	switch {
	case err != nil:
		return fmt.Errorf("%s cannot be asked any more: %w", r.v.Primary, err)
	case s.Standby:
		return fmt.Errorf("%s is a standby now", r.v.Primary)
	case s.System != was.System:
		return fmt.Errorf("%s has system identifier %s, expected %s", r.v.Primary, s.System, was.System)
	case s.End.Timeline != was.End.Timeline:
		return fmt.Errorf("%s writes timeline %d, expected %d: it was promoted again", r.v.Primary, s.End.Timeline, was.End.Timeline)
	}
	return nil
}

// beforeRewind waits for the primary's checkpoint, and has pg_rewind look, where the data
// were shut down, whether it can; if not, a new copy takes its place.
func (r *rejoiner) beforeRewind(ctx context.Context) error {
	if err := r.awaitCheckpoint(ctx); err != nil {
		return err
	}
	control, err := r.found.instance.RejoinControl(ctx)
	if r.clean = err == nil && control.Clean(); !r.clean {
		return err
	}
	if err := r.rewindable(ctx); err != nil {
		return r.cloneInstead(ctx, err)
	}
	return nil
}

func (r *rejoiner) rewindable(ctx context.Context) error {
	r.say("pg_rewind looks whether it can")
	return r.work.Rewindable(ctx, r.found.from, stallWait)
}

// cloneInstead changes the way, unless there is no other. A primary that cannot be reached,
// or stands still, is no reason: the data are as good as they were, and a copy would have
// nowhere to come from.
func (r *rejoiner) cloneInstead(ctx context.Context, why error) error {
	if ctx.Err() != nil || errors.Is(why, pg.ErrConnectionLost) || errors.Is(why, pg.ErrStalled) {
		return why
	}
	if r.v.noClone != "" {
		return fmt.Errorf("%w; and a new copy cannot take its place: %s", why, r.v.noClone)
	}
	if err := r.sourceStands(ctx); err != nil {
		return fmt.Errorf("%w; and no new copy takes its place: %w", why, err)
	}
	r.say("pg_rewind cannot: %s", first(why))
	r.v.Way, r.v.WhyClone, r.v.InPlace = wayClone, first(why), false
	return nil
}

// awaitCheckpoint waits until the primary's last checkpoint is of the timeline it writes.
// It ends when the primary is no longer the one of the plan, or does not answer for a
// while: this node is kept down meanwhile.
func (r *rejoiner) awaitCheckpoint(ctx context.Context) error {
	bounded, cancel := context.WithTimeout(ctx, r.checkpointWait())
	defer cancel()
	told, answered := false, r.c.now()
	for {
		look, stop := context.WithTimeout(bounded, sourceWait)
		source, err := r.askRewind(look)
		stop()
		switch {
		case err != nil:
			if err := r.silent(bounded, err, r.c.now().Sub(answered)); err != nil {
				return err
			}
		case source.Timeline != r.found.up.End.Timeline:
			return fmt.Errorf("%s writes timeline %d, expected %d: it was promoted again", r.v.Primary, source.Timeline, r.found.up.End.Timeline)
		case source.Settled():
			return nil
		case !told:
			told = true
			if asked, err := r.askCheckpoint(bounded, source); asked || err != nil {
				if err != nil {
					return err
				}
				continue
			}
		}
		if err == nil {
			answered = r.c.now()
		}
		if r.pause(bounded) != nil {
			return r.hintAtOnce(fmt.Errorf("%s has made no checkpoint on its timeline within %s", r.v.Primary, durationText(r.checkpointWait())))
		}
	}
}

// checkpointWait is for the primary's checkpoint. One may be under way, and the next begins
// when that is done; either is spread over the primary's checkpoint_timeout at most.
func (r *rejoiner) checkpointWait() time.Duration {
	return max(leastCheckpointWait, 2*r.found.up.CheckpointTimeout+checkpointEnd)
}

// copyStall is for pg_basebackup to tell of progress, which waits for a checkpoint first.
func (r *rejoiner) copyStall() time.Duration {
	if r.c.checkpoint {
		return stallWait
	}
	return max(stallWait, r.checkpointWait())
}

// hintAtOnce adds to an error what would have spared the wait.
func (r *rejoiner) hintAtOnce(err error) error {
	if r.c.checkpoint {
		return err
	}
	return fmt.Errorf("%w (%s)", err, atOnce)
}

// silent says what a primary that does not answer for so long amounts to; nil for to go on.
func (r *rejoiner) silent(ctx context.Context, why error, since time.Duration) error {
	if state, err := r.state(ctx); err == nil {
		if err := r.stillPrimary(state); err != nil {
			return err
		}
	}
	if since < primaryWait || ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("%s has not answered for %s: %w", r.v.Primary, durationText(primaryWait), why)
}

// askCheckpoint has the primary make its checkpoint, where that was asked for and may be.
func (r *rejoiner) askCheckpoint(ctx context.Context, source pg.RewindSource) (asked bool, err error) {
	if r.c.checkpoint && source.MayCheckpoint {
		r.say("asks %s for a checkpoint", r.v.Primary)
		return true, r.found.instance.CheckpointAt(ctx, r.found.from)
	}
	hint := atOnce
	if r.c.checkpoint {
		hint = "the role in primary_conninfo may not ask for it"
	}
	r.say("waits for %s's first checkpoint on timeline %d (%s)", r.v.Primary, source.Timeline, hint)
	return false, nil
}

// make makes the new data, in the way that was chosen, or by a new copy where a rewind
// fails.
func (r *rejoiner) make(ctx context.Context) error {
	if r.v.Way == wayRewind {
		err := r.rewind(ctx)
		if err == nil {
			r.v.Used = wayRewind
			return nil
		}
		if err := r.cloneInstead(ctx, err); err != nil {
			return err
		}
		if err := r.work.Discard(); err != nil {
			return err
		}
	}
	if r.v.noRoom {
		if err := r.drop(ctx); err != nil {
			return err
		}
	}
	r.say("pg_basebackup copies %s to %s%s", r.v.Primary, r.work.Dir(), r.checkpointText())
	r.meter.start("fetched")
	if err := r.work.BaseBackup(ctx, r.found.from, r.c.checkpoint, r.copyStall(), r.meter.tell); err != nil {
		if errors.Is(err, pg.ErrStalled) && r.meter.done == 0 {
			return r.hintAtOnce(err)
		}
		return err
	}
	r.v.Used, r.v.Copied = wayClone, r.meter.done
	r.meter.end()
	return nil
}

// drop removes the old data, for room: the last that can be found to keep pg_basebackup from
// making new ones is looked at before.
func (r *rejoiner) drop(ctx context.Context) error {
	if err := r.sourceStands(ctx); err != nil {
		return err
	}
	bounded, cancel := context.WithTimeout(ctx, sourceWait)
	err := r.tryBackup(bounded)
	cancel()
	if err != nil {
		return fmt.Errorf("%s would not give pg_basebackup what it needs, and the old data were not removed for it: %w", r.v.Primary, err)
	}
	r.say("removes the old data")
	return r.work.Drop()
}

// checkpointText says what pg_basebackup waits for without a word.
func (r *rejoiner) checkpointText() string {
	if r.c.checkpoint {
		return ""
	}
	return fmt.Sprintf("; it waits for a checkpoint of %s first, some minutes (%s)", r.v.Primary, atOnce)
}

// rewind makes a copy of the data follow the primary, or the data themselves.
func (r *rejoiner) rewind(ctx context.Context) error {
	prepare := r.copyToRewind
	if r.v.InPlace {
		prepare = r.takeToRewind
	}
	if err := prepare(ctx); err != nil {
		return err
	}
	r.say("pg_rewind makes the data follow %s", r.v.Primary)
	r.meter.start("rewound")
	if err := r.work.Rewind(ctx, r.found.from, stallWait, r.meter.tell); err != nil {
		return err
	}
	r.v.Copied += r.meter.done
	r.meter.end()
	return nil
}

func (r *rejoiner) copyToRewind(ctx context.Context) error {
	r.say("copies the data to %s", r.work.Dir())
	r.meter.start("copied")
	total := r.found.premises.Size
	if err := r.work.Copy(ctx, func(done uint64) { r.meter.tell(done, total) }); err != nil {
		return err
	}
	r.v.Copied += r.meter.done
	r.meter.end()
	return r.recover(ctx, r.work.Recover)
}

// takeToRewind takes the data directory's name away from the data last: what can fail
// before fails while they are where they belong.
func (r *rejoiner) takeToRewind(ctx context.Context) error {
	if !r.clean {
		if err := r.recover(ctx, r.work.RecoverInPlace); err != nil {
			return err
		}
		if err := r.rewindable(ctx); err != nil {
			return err
		}
	}
	if err := r.sourceStands(ctx); err != nil {
		return err
	}
	return r.work.Take()
}

func (r *rejoiner) recover(ctx context.Context, work func(context.Context) error) error {
	bounded, cancel := context.WithTimeout(ctx, recoverWait)
	defer cancel()
	if !r.clean {
		r.say("PostgreSQL ends the crash recovery of the data")
	}
	return work(bounded)
}

// bringUp has Pacemaker forget the failures here, also when ctx has ended, since they would
// keep the new data from being started; and waits until the instance streams.
func (r *rejoiner) bringUp(ctx context.Context) error {
	resource := r.found.resource
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), constraintWait)
	err := r.crm.Cleanup(bounded, resource.Name, r.v.Node)
	cancel()
	if err != nil {
		return fmt.Errorf("Pacemaker did not forget the failures of %s here: %w; to do: %s", resource.Name, err, cleanupOf(resource.Name, r.v.Node)) //nolint:staticcheck // a name
	}
	r.say("Pacemaker forgets what failed here, and starts PostgreSQL")
	if err := r.awaitStreaming(ctx); err != nil {
		return err
	}
	// The agent's next monitor would take it back; until then it would be held for diverged.
	bounded, cancel = context.WithTimeout(context.WithoutCancel(ctx), toolWait)
	defer cancel()
	_ = r.crm.SetStatus(bounded, r.v.Node, resource.Name, "")
	return nil
}

func (r *rejoiner) awaitStreaming(ctx context.Context) error {
	resource, cleaned := r.found.resource, r.c.now()
	wait := timeoutOf(resource, metadata.Start) + 2*timeoutOf(resource, metadata.Notify) + streamWait
	bounded, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	for {
		doubt, missing := r.streaming(bounded)
		if missing == nil {
			r.say("%s", strings.TrimSuffix("it streams; "+doubt, "; "))
			return nil
		}
		if state, err := r.state(bounded); err == nil && r.c.now().Sub(cleaned) > settleWait {
			if f, failed := failureOn(state, resource.Name, r.v.Node); failed {
				return fmt.Errorf("%s failed: %s", f.Operation, firstNonEmpty(f.Reason, f.Text))
			}
		}
		if r.pause(bounded) != nil {
			return fmt.Errorf("not within %s: %w%s", durationText(wait), missing, r.whyNot(ctx))
		}
	}
}

// whyNot is what the primary says to a standby that runs and does not stream; empty if nothing.
// One that does would be in the way of the question, with the slot that it has.
func (r *rejoiner) whyNot(ctx context.Context) string {
	last := r.last.report
	if !r.last.ok() || !last.InRecovery || last.Receiver != nil && last.Receiver.Status == "streaming" {
		return ""
	}
	bounded, cancel := context.WithTimeout(ctx, sourceWait)
	defer cancel()
	asked, err := r.askUpstream(bounded)
	switch {
	case err != nil:
		return "; the primary does not answer it: " + first(err)
	case asked.Refusal != "":
		return "; the primary says: " + asked.Refusal
	}
	return ""
}

func failureOn(state crm.State, resource, node string) (crm.Failure, bool) {
	for _, f := range state.Failures {
		if f.Resource() == resource && f.Node == node {
			return f, true
		}
	}
	return crm.Failure{}, false
}

// streaming says what is missing for the instance to be a standby that streams from the
// primary, by the rule by which one is left alone (rejoinFacts.streams); of one that does,
// what could not be looked at.
func (r *rejoiner) streaming(ctx context.Context) (doubt string, missing error) {
	bounded, cancel := context.WithTimeout(ctx, instanceWait)
	defer cancel()
	now := r.found
	now.local.report, now.local.err = r.askSelf(bounded)
	r.last = now.local
	if now.local.ok() && now.local.report.Receiver != nil {
		asked, stop := context.WithTimeout(ctx, neighbourWait)
		defer stop()
		now.others, now.byAddress = map[string]answer{now.primary: r.askPrimary(asked, now)}, answer{err: errNotAsked}
	}
	return now.streamsAgain()
}

// streamsAgain judges an instance with new data. Its timeline may be a later one than the
// primary's was: there may have been a failover since.
func (f rejoinFacts) streamsAgain() (doubt string, missing error) {
	if f.local.err != nil {
		return "", fmt.Errorf("PostgreSQL does not answer: %w", f.local.err)
	}
	if !f.local.report.InRecovery {
		return "", errors.New("it runs as a primary, expected a standby")
	}
	if receiver := f.local.report.Receiver; receiver != nil {
		f.up.End.Timeline = max(f.up.End.Timeline, receiver.Timeline)
	}
	yes, doubt := f.streams()
	if !yes {
		return "", errors.New(firstNonEmpty(doubt, "it runs, and does not stream"))
	}
	return doubt, nil
}

func (r *rejoiner) say(format string, args ...any) {
	r.meter.end()
	r.c.tell(r.began, fmt.Sprintf(format, args...))
}
