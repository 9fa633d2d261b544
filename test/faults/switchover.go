package faults

import (
	"context"
	"fmt"
	"strings"
	"time"

	"pgsqlms/test/lab"
)

// moving is what so many switchovers allow. A demotion shuts PostgreSQL down cleanly, so that no start of it is a crash recovery.
func moving(switchovers int) Allowance {
	return Allowance{
		Promotions: Exactly(switchovers), Starts: map[string]int{}, Recoveries: map[string]int{}, Serve: promoteTime, Whole: streamTime,
	}
}

// manySwitchovers moves the role about under load. Every seventh is one that must not be made: its target is starved.
func manySwitchovers() Fault {
	return Fault{
		ID: "F18", Title: "switchovers under load", Must: "each one timeline; unsafe ones cancelled and the old primary back",
		Bound: 2 * time.Hour,
		Prepare: func(_ context.Context, p *Play) error {
			p.Load = Load{Writers: 2, Every: 2 * time.Millisecond, Payload: 500}
			return nil
		},
		Play: func(ctx context.Context, p *Play) error {
			n := p.Size.Switchovers
			p.Allow = moving(n)
			for i := range n {
				p.note("switchover %d of %d", i+1, n)
				unsafe := i%7 == 6
				if err := p.switchover(ctx, unsafe); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// switchover moves the role to one of the standbys, drawn by chance, and waits until the cluster is whole again.
func (p *Play) switchover(ctx context.Context, unsafe bool) error {
	if err := p.ready(ctx); err != nil {
		return err
	}
	if err := p.look(ctx); err != nil {
		return err
	}
	target := p.Standbys[p.Rand.IntN(len(p.Standbys))]
	before := len(p.promotions())
	p.Allow.Starts[p.Primary]++
	var err error
	if unsafe {
		err = p.unsafeSwitchover(ctx, target)
	} else {
		err = p.inject("move from "+p.Primary+" to "+target, func() error { return p.Lab.Move(ctx, target) })
	}
	if err != nil {
		return breach(I6, "%v", err)
	}
	want := target
	if unsafe {
		want = p.Primary
	}
	made := p.promotions()[before:]
	if len(made) != 1 || made[0].node != want {
		var nodes []string
		for _, one := range made {
			nodes = append(nodes, one.node)
		}
		return breach(I7, "a switchover from %s to %s (unsafe: %t) promoted %v, expected %s alone", p.Primary, target, unsafe, nodes, want)
	}
	return nil
}

// ready waits for the next switchover's begin.
func (p *Play) ready(ctx context.Context) error {
	bounded, cancel := context.WithTimeout(ctx, p.Allow.Whole)
	defer cancel()
	if err := p.Lab.WaitWhole(bounded); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return breach(I5, "%s", missingIn(err))
	}
	return nil
}

// unsafeSwitchover asks for one to a standby that lacks the primary's last WAL, and waits until the primary is back.
func (p *Play) unsafeSwitchover(ctx context.Context, target string) error {
	p.Allow.Starts[target]++ // a failed promotion is followed by a stop and a start
	p.Allow.Reasons = append(p.Allow.Reasons, `promote on `+target+`: .*switchover cancelled`)
	if err := p.starve(ctx, target); err != nil {
		return err
	}
	began := time.Now()
	if err := p.inject("move from "+p.Primary+" to the starved "+target, func() error { return p.Lab.StartMove(ctx, target) }); err != nil {
		return err
	}
	err := await(ctx, 60*time.Second, 100*time.Millisecond, func(context.Context) string {
		for _, failure := range p.logOf(target).Failures {
			if failure.Operation == "promote" && failure.At.After(began) && strings.Contains(failure.Reason, "switchover cancelled") {
				return ""
			}
		}
		return fmt.Sprintf("the switchover to %s was not cancelled", target)
	})
	if err != nil {
		return err
	}
	if _, err := p.awaitPromotion(ctx, began, 60*time.Second); err != nil {
		return err
	}
	if err := p.awaitWrites(ctx, time.Now(), 60*time.Second); err != nil {
		return err
	}
	if err := p.Lab.ClearMove(ctx, target); err != nil {
		return err
	}
	if err := p.Lab.Unblock(ctx, p.Primary); err != nil {
		return err
	}
	// Pacemaker remembers the failed promotion, and recovers from it again after a later demotion of that node.
	_, err = p.Lab.Run(ctx, p.Primary, "crm_resource", "--cleanup", "--resource", lab.Resource, "--node", target)
	return err
}
