package scenario

import (
	"context"
	"fmt"
	"time"

	"pgsqlms/test/lab"
	"pgsqlms/test/writer"
)

// Scenario is one fault and what belongs to it.
type Scenario struct {
	Name string
	// Prepare, if set, makes the state in which the fault is to happen, before the writing begins. What it leaves running is
	// stopped when the play is over.
	Prepare func(ctx context.Context, p *Play) error
	// Brink, if set, is done under the writer, right before the fault.
	Brink func(ctx context.Context, p *Play) error
	// Inject does it. It returns once the fault is there, not once the cluster has dealt with it.
	Inject func(ctx context.Context, p *Play) error
	// Turned, if set, waits until the cluster has visibly dealt with it; the default is a write acknowledged after the
	// fault. Until then nothing asks the cluster anything, so that the looking does not slow down what is measured.
	Turned func(ctx context.Context, p *Play) error
	// Mend, if set, is what a person does once the cluster has turned, before all nodes can be expected to stream.
	Mend func(ctx context.Context, p *Play) error
	// TidyUp, if set, is done once all nodes stream, and they must stream again after it.
	TidyUp func(ctx context.Context, p *Play) error
}

// Play is a scenario under way.
type Play struct {
	Lab     *lab.Lab
	Primary string // before the fault
	Target  string // of a switchover; where Prepare has to know it, it is chosen there
	Writer  *writer.Writer
	Dirty   map[string]float64 // MB of dirty buffers on each node, where a scenario made some
	Backlog map[string]float64 // MB received and not replayed when the fault came
	fault   time.Time
	stops   []func()
}

// KillPostgres kills the primary's postmaster and all its children, as a crash or the OOM killer would.
func KillPostgres() Scenario {
	return Scenario{
		Name:   "kill -9 of the primary's postmaster",
		Inject: func(ctx context.Context, p *Play) error { return p.Lab.KillPostgres(ctx, p.Primary) },
	}
}

// KillNode takes the power from the primary's node. Fencing gives it back.
func KillNode() Scenario {
	return Scenario{
		Name:   "kill of the primary's node",
		Inject: func(ctx context.Context, p *Play) error { return p.Lab.KillNode(ctx, p.Primary) },
	}
}

// CutNetwork pulls the primary's cable, and plugs it in again once another node writes.
func CutNetwork() Scenario {
	return Scenario{
		Name:   "cut of the primary's network",
		Inject: func(ctx context.Context, p *Play) error { return p.Lab.Cut(ctx, p.Primary) },
		Mend:   func(ctx context.Context, p *Play) error { return p.Lab.Heal(ctx, p.Primary) },
	}
}

// Freeze stops every process of the primary's node. Fencing ends that.
func Freeze() Scenario {
	return Scenario{
		Name:   "freeze of the primary's node",
		Inject: func(ctx context.Context, p *Play) error { return p.Lab.Freeze(ctx, p.Primary) },
	}
}

// Switchover moves the primary to the node named, or to the standby that scores best if that is empty.
func Switchover(to string) Scenario {
	return Scenario{
		Name: "switchover",
		Inject: func(ctx context.Context, p *Play) error {
			if err := p.choose(ctx, to); err != nil {
				return err
			}
			return p.Lab.StartMove(ctx, p.Target)
		},
		Turned: func(ctx context.Context, p *Play) error { return p.awaitAckFrom(ctx, p.Target) },
		// The location rule that this leaves goes once all is quiet: taken back earlier it aborts the transition.
		TidyUp: func(ctx context.Context, p *Play) error { return p.Lab.ClearMove(ctx, p.Target) },
	}
}

// choose fixes the switchover's target, unless Prepare has.
func (p *Play) choose(ctx context.Context, to string) error {
	if to == "" && p.Target != "" {
		return nil
	}
	if to == "" {
		status, err := p.Lab.Status(ctx)
		if err != nil {
			return err
		}
		to = bestStandby(status)
	}
	if to == "" || to == p.Primary {
		return fmt.Errorf("switchover from %s to %q: want another node", p.Primary, to)
	}
	p.Target = to
	return nil
}
