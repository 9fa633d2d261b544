package operator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"pgsqlms/internal/crm"
	"pgsqlms/internal/pg"
	"pgsqlms/metadata"
)

// The bounds of a rejoin that do not follow from the operations' timeouts.
const (
	checkpointWait = 40 * time.Minute // for the primary's checkpoint, which it may spread over checkpoint_timeout; that is 5 minutes unless set
	recoverWait    = 2 * time.Hour    // for crash recovery, of which PostgreSQL tells no progress in single-user mode
	stallWait      = time.Hour        // for pg_rewind or pg_basebackup to tell of progress; the latter waits for a checkpoint first
	streamWait     = 2 * time.Minute  // for a standby that is up to stream, beside the time that its start may take
	settleWait     = 10 * time.Second // for Pacemaker to forget a failure
)

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
	clean bool // the data were shut down
	ready bool // the new data are in place
}

func newRejoiner(c *call, s surveyor, found rejoinFacts, v rejoinView) *rejoiner {
	r := &rejoiner{c: c, crm: s.crm, found: found, v: v, every: lookEvery}
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

	var err error
	if r.work, err = r.found.instance.LockRejoin(); err != nil {
		return ExitUnknown, err
	}
	defer r.work.Close()
	r.began = r.c.now()
	uninterrupted := context.WithoutCancel(ctx)
	r.c.held.Store(&held{constraint: r.v.constraint(), liftOnce: r.releaseOnce, byHand: r.v.clearByHand(), rest: "whatever it has made in " + r.work.Dir() +
		" is left, and keeps PostgreSQL from being started; to do: pgsqlms rejoin, which takes it over"})
	if err = r.keepAway(uninterrupted); err == nil {
		err = r.repair(ctx)
	}
	r.meter.end()
	r.release(uninterrupted)
	o, code := outcomeDone, ExitWell
	switch {
	case ctx.Err() != nil && !r.ready:
		o, code, r.v.Reason = outcomeInterrupted, ExitUnknown, "interrupted"
	case err != nil:
		o, code, r.v.Reason = outcomeFailed, ExitUnknown, err.Error()
	case !r.v.Cleared:
		o, code, r.v.Reason = outcomeNotStreaming, ExitWrong, "the constraint keeps Pacemaker from starting it"
	default:
		if err = r.bringUp(ctx); err != nil {
			o, code, r.v.Reason = outcomeNotStreaming, ExitWrong, err.Error()
		}
	}
	r.v.Seconds = r.c.now().Sub(r.began).Seconds()
	return r.v.end(r.c, o, code)
}

// keepAway makes the constraint. One that a rejoin that was killed has left is taken over.
func (r *rejoiner) keepAway(ctx context.Context) error {
	r.say("tells Pacemaker to keep %s away from %s", r.found.resource.Clone, r.v.Node)
	if slices.ContainsFunc(r.found.cib.Locations, r.isOurs) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, constraintWait)
	defer cancel()
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
	if r.v.Way == wayRewind {
		if err := r.beforeRewind(ctx); err != nil {
			return err
		}
	}
	defer func() {
		if err == nil {
			return
		}
		unfinished, abandonErr := r.work.Abandon()
		if unfinished || abandonErr != nil {
			r.v.HalfDone = r.work.Dir()
		}
		err = errors.Join(err, abandonErr)
	}()
	if r.v.Way == waySweep {
		r.say("removes %s", r.work.Dir())
		_, err = r.work.Abandon()
		r.ready = err == nil
		return err
	}
	if err = r.work.Begin(); err == nil {
		err = r.make(ctx)
	}
	if err != nil {
		return err
	}
	r.say("puts the new data in their place, with this node's own files")
	if r.v.Kept, err = r.work.Finish(r.v.Keep, r.c.now()); err != nil {
		return err
	}
	r.ready = true
	return nil
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
			if promoted := state.Promoted(resource.Name); !slices.Equal(promoted, []string{r.v.Primary}) {
				return fmt.Errorf("%s is no longer the primary: promoted is %s; nothing was done", r.v.Primary, orNone(promoted))
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
	r.say("pg_rewind looks whether it can")
	if err := r.work.Rewindable(ctx, r.found.from); err != nil {
		return r.cloneInstead(ctx, err)
	}
	return nil
}

// cloneInstead changes the way, unless there is no other.
func (r *rejoiner) cloneInstead(ctx context.Context, why error) error {
	if ctx.Err() != nil {
		return why
	}
	if r.v.noClone != "" {
		return fmt.Errorf("%w; and a new copy cannot take its place: %s", why, r.v.noClone)
	}
	r.say("pg_rewind cannot: %s", first(why))
	r.v.Way, r.v.WhyClone, r.v.InPlace = wayClone, first(why), false
	return nil
}

// awaitCheckpoint waits until the primary's last checkpoint is of the timeline it writes.
func (r *rejoiner) awaitCheckpoint(ctx context.Context) error {
	bounded, cancel := context.WithTimeout(ctx, checkpointWait)
	defer cancel()
	told := false
	for {
		look, stop := context.WithTimeout(bounded, sourceWait)
		source, err := r.found.instance.AskRewindSource(look, r.found.from)
		stop()
		if err == nil && source.Settled() {
			return nil
		}
		if !told && err == nil {
			told = true
			if r.c.checkpoint && source.MayCheckpoint {
				r.say("asks %s for a checkpoint", r.v.Primary)
				if err := r.found.instance.CheckpointAt(bounded, r.found.from); err != nil {
					return err
				}
				continue
			}
			r.say("waits for %s's first checkpoint on timeline %d (--checkpoint asks for it at once)", r.v.Primary, source.Timeline)
		}
		if r.pause(bounded) != nil {
			return fmt.Errorf("%s has made no checkpoint on its timeline within %s: %s", r.v.Primary, durationText(checkpointWait), answered(err))
		}
	}
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
		r.say("removes the old data")
		if err := r.work.Drop(); err != nil {
			return err
		}
	}
	r.say("pg_basebackup copies %s to %s", r.v.Primary, r.work.Dir())
	r.meter.start("fetched")
	if err := r.work.BaseBackup(ctx, r.found.from, r.c.checkpoint, stallWait, r.meter.tell); err != nil {
		return err
	}
	r.v.Used, r.v.Copied = wayClone, r.meter.done
	r.meter.end()
	return nil
}

// rewind makes a copy of the data follow the primary, or the data themselves.
func (r *rejoiner) rewind(ctx context.Context) error {
	if r.v.InPlace {
		if err := r.work.Take(); err != nil {
			return err
		}
	} else {
		r.say("copies the data to %s", r.work.Dir())
		r.meter.start("copied")
		total := r.found.premises.Size
		if err := r.work.Copy(ctx, func(done uint64) { r.meter.tell(done, total) }); err != nil {
			return err
		}
		r.v.Copied += r.meter.done
		r.meter.end()
	}
	bounded, cancel := context.WithTimeout(ctx, recoverWait)
	defer cancel()
	if !r.clean {
		r.say("PostgreSQL ends the crash recovery of the data")
	}
	if err := r.work.Recover(bounded); err != nil {
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

// bringUp has Pacemaker forget the failures here, and waits until the instance streams.
func (r *rejoiner) bringUp(ctx context.Context) error {
	resource := r.found.resource
	bounded, cancel := context.WithTimeout(ctx, constraintWait)
	err := r.crm.Cleanup(bounded, resource.Name, r.v.Node)
	cancel()
	if err != nil {
		return fmt.Errorf("Pacemaker did not forget the failures of %s here: %w; to do: %s", resource.Name, err, cleanupOf(resource.Name, r.v.Node)) //nolint:staticcheck // a name
	}
	r.say("Pacemaker forgets what failed here, and starts PostgreSQL")
	cleaned := r.c.now()
	wait := timeoutOf(resource, metadata.Start) + 2*timeoutOf(resource, metadata.Notify) + streamWait
	bounded, cancel = context.WithTimeout(ctx, wait)
	defer cancel()
	for {
		missing := r.streaming(bounded)
		if missing == nil {
			break
		}
		if state, err := r.state(bounded); err == nil && r.c.now().Sub(cleaned) > settleWait {
			if f, failed := failureOn(state, resource.Name, r.v.Node); failed {
				return fmt.Errorf("%s failed: %s", f.Operation, firstNonEmpty(f.Reason, f.Text))
			}
		}
		if r.pause(bounded) != nil {
			return fmt.Errorf("not within %s: %w", durationText(wait), missing)
		}
	}
	r.say("it streams")
	// The agent's next monitor would take it back; until then it would be held for diverged.
	bounded, cancel = context.WithTimeout(context.WithoutCancel(ctx), toolWait)
	defer cancel()
	_ = r.crm.SetStatus(bounded, r.v.Node, resource.Name, "")
	return nil
}

func failureOn(state crm.State, resource, node string) (crm.Failure, bool) {
	for _, f := range state.Failures {
		if f.Resource() == resource && f.Node == node {
			return f, true
		}
	}
	return crm.Failure{}, false
}

// streaming says what is missing for the instance to be a standby that streams the
// primary's timeline.
func (r *rejoiner) streaming(ctx context.Context) error {
	bounded, cancel := context.WithTimeout(ctx, instanceWait)
	defer cancel()
	report, err := r.found.instance.Report(bounded)
	switch {
	case err != nil:
		return fmt.Errorf("PostgreSQL does not answer: %w", err)
	case !report.InRecovery:
		return errors.New("it runs as a primary, expected a standby")
	case report.Receiver == nil || report.Receiver.Status != "streaming":
		return errors.New("it runs, and does not stream")
	case report.Receiver.Timeline < r.found.up.End.Timeline:
		return fmt.Errorf("it streams timeline %d, expected %d", report.Receiver.Timeline, r.found.up.End.Timeline)
	}
	return nil
}

func (r *rejoiner) say(format string, args ...any) {
	r.meter.end()
	r.c.tell(r.began, fmt.Sprintf(format, args...))
}
