package operator

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"pgsqlms/internal/crm"
)

// What switchover and rejoin have in common: both say what they will do, ask, do it under a
// constraint that is removed whatever happens, and say what came of it.

const (
	constraintWait = 20 * time.Second       // for a constraint to be made, or a failure to be forgotten
	clearWait      = 30 * time.Second       // for a constraint to be removed, tried again and again
	againWait      = time.Second            // between two attempts to remove it
	lookEvery      = 500 * time.Millisecond // crm_mon costs some 50 ms of one processor
)

// mayAct refuses a command line that would have to ask and cannot.
func (c *call) mayAct() error {
	if !c.yes && !c.dryRun && (!c.Asks || c.output == outputJSON) {
		return usagef("cannot ask without a terminal, or with --output json: nothing was done; expected --yes or --dry-run")
	}
	return nil
}

// outliveReaders keeps a reader that goes away, as of a pipe, from ending this process
// half-way, before the constraint is removed, and Ctrl-Z from stopping it there. The function
// that it returns ends that.
func outliveReaders() (stop func()) {
	unheeded := make(chan os.Signal, 1)
	signal.Notify(unheeded, syscall.SIGPIPE, syscall.SIGTSTP)
	return func() { signal.Stop(unheeded) }
}

// tell is for a step that was done, and says how long after the begin.
func (c *call) tell(began time.Time, step string) {
	if c.output == outputText {
		fmt.Fprintf(c.Stdout, "%7.1f s  %s\n", c.now().Sub(began).Seconds(), clean(step))
	}
}

// held is a constraint that a command has made, or may have, until it has removed it.
type held struct {
	constraint string
	liftOnce   func(context.Context) error
	byHand     string // what to do where that fails
	rest       string // what else is left where the command ends at once; empty for nothing
}

// lift removes the constraint that the command holds, and looks whether it is gone. It
// returns what was in the way at last, although it be gone now.
func (c *call) lift(ctx context.Context) (trouble string, gone bool) {
	ctx, cancel := context.WithTimeout(ctx, clearWait)
	defer cancel()
	for {
		err := c.held.Load().liftOnce(ctx)
		if err == nil {
			c.held.Store(nil)
			return trouble, true
		}
		trouble = first(err)
		select {
		case <-ctx.Done():
			return trouble, false
		case <-time.After(againWait):
		}
	}
}

func liftOnce(ctx context.Context, cluster *crm.Cluster, remove func(context.Context) error, ours func(crm.Location) bool) error {
	ctx, cancel := context.WithTimeout(ctx, constraintWait/2)
	defer cancel()
	if err := remove(ctx); err != nil {
		return err
	}
	cib, err := cluster.CIB(ctx)
	if err != nil {
		return err
	}
	if n := slices.IndexFunc(cib.Locations, ours); n >= 0 {
		return fmt.Errorf("%s is still there", cib.Locations[n].ID)
	}
	return nil
}

// leave ends a command that has been told twice to end, and may stand still anywhere: its
// constraint is removed, if that can be done at once, or named.
func (c *call) leave(ctx context.Context, name string) {
	h := c.held.Load()
	if h == nil {
		c.warn(name, "interrupted again, and ended at once")
		return
	}
	c.warn(name, "interrupted again: removes constraint %s, within %s, and ends; a third time ends it at once, and leaves the constraint behind",
		h.constraint, durationText(constraintWait/2))
	c.drop(ctx, name, h)
}

// liftInPanic is for what a deferred function has recovered, nil for nothing, wherever the
// command works: a mistake in this program is to leave no constraint behind, and to be seen
// all the same.
func (c *call) liftInPanic(name string, mistake any) {
	if mistake == nil {
		return
	}
	if h := c.held.Load(); h != nil {
		c.warn(name, "a mistake in this program: removes constraint %s, within %s, and ends", h.constraint, durationText(constraintWait/2))
		c.drop(context.Background(), name, h)
	}
	panic(mistake)
}

func (c *call) warn(name, format string, args ...any) {
	fmt.Fprintf(c.Stderr, "pgsqlms %s: %s\n", name, clean(fmt.Sprintf(format, args...)))
}

// drop removes a constraint at once, or names it.
func (c *call) drop(ctx context.Context, name string, h *held) {
	say := func(format string, args ...any) { c.warn(name, format, args...) }
	if err := h.liftOnce(ctx); err != nil {
		say("constraint %s is left behind: %s; to do: %s", h.constraint, first(err), h.byHand)
	} else {
		say("constraint %s is removed", h.constraint)
	}
	if h.rest != "" {
		say("%s", h.rest)
	}
}

// steps are what will happen, in their order.
func (s style) steps(b *strings.Builder, steps []string) {
	b.WriteString("\nWhat will happen\n")
	for n, step := range steps {
		for line, part := range wrap(clean(step), s.columns-5) {
			mark := fmt.Sprintf("  %d. ", n+1)
			if line > 0 {
				mark = "     "
			}
			b.WriteString(mark + part + "\n")
		}
	}
}

// ending is the text with which such a command ends.
type ending struct {
	strings.Builder
	s style
}

func (s style) ending() *ending {
	e := &ending{s: s}
	e.WriteByte('\n')
	return e
}

func (e *ending) line(format string, args ...any) {
	e.s.item(&e.Builder, "", fmt.Sprintf(format, args...))
}

// toDo says what to do, where there is something.
func (e *ending) toDo(text string) {
	if text != "" {
		e.WriteString("  to do: " + clean(text) + "\n")
	}
}

// nothingDone is for the outcomes before anything was done; false for the others.
func (e *ending) nothingDone(o outcome, checks findings) bool {
	switch o {
	case outcomeRefused:
		e.line("refused, nothing was done: %s", plural(checks.count(levelError), "error"))
	case outcomeDryRun:
		e.line("nothing was done")
	case outcomeDeclined:
		e.line("not confirmed, nothing was done")
	default:
		return false
	}
	return true
}
