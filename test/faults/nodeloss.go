package faults

import (
	"context"
	"fmt"
	"time"

	"pgsqlms/test/lab"
	"pgsqlms/test/scenario"
)

// losing is what the loss of the primary's node allows and demands. What it had flushed and not sent makes it diverge.
func losing(p *Play) Allowance {
	return Allowance{
		AsyncLoss: true, Promotions: Exactly(1), Starts: each(1, p.Primary), Fencings: each(1, p.Primary),
		Diverging: []string{p.Primary}, FencedFirst: p.Primary, Serve: promoteTime, Whole: streamTime,
	}
}

// thawedAgain is a frozen node that goes on before it is fenced.
const thawedAgain = "thawed while the fencing takes its time"

// freezeOfNode is what a hypervisor does that pauses a machine, or swapping. A node that goes on knows of nothing: it has to be
// fenced before another one is promoted, be it frozen or not by then.
func freezeOfNode() Fault {
	return Fault{
		ID: "F4", Title: "freeze of the primary's node until it is fenced, or thawed while a slow fencing is under way",
		Must:     "fenced before the promotion, and no acknowledgement beside the new primary's",
		Variants: []string{"fencing at once", thawedAgain},
		Play: func(ctx context.Context, p *Play) error {
			p.Allow = losing(p)
			slow := p.Variant == thawedAgain
			if slow {
				p.Allow.Serve += 10 * time.Second
				if err := p.Lab.SetFencing(ctx, lab.FencingMode{Delay: 8 * time.Second}); err != nil {
					return err
				}
			}
			began := time.Now()
			if err := p.inject("freeze of "+p.Primary, func() error { return p.freeze(ctx, p.Primary) }); err != nil {
				return err
			}
			if slow {
				if err := scenario.Pause(ctx, 6*time.Second); err != nil { // longer than corosync's token, shorter than the fencing
					return err
				}
				if err := p.inject("thaw of "+p.Primary, func() error { return p.Lab.Thaw(ctx, p.Primary) }); err != nil {
					return err
				}
			}
			to, err := p.awaitPromotion(ctx, began, p.Allow.Serve+30*time.Second)
			if err == nil {
				p.note("%s is promoted", to)
			}
			return err
		},
	}
}

func lossOfNode() Fault {
	return Fault{
		ID: "F5", Title: "the primary's node destroyed at peak load", Must: "the best standby is promoted",
		Variants: []string{"without a word", "its connections are closed"},
		Prepare:  peakLoad,
		Play: func(ctx context.Context, p *Play) error {
			p.Allow = losing(p)
			kill := p.Lab.KillNode
			if p.Variant == "its connections are closed" {
				kill = p.Lab.KillNodeLinked
			}
			began := time.Now()
			if err := p.inject("power loss of "+p.Primary, func() error { return kill(ctx, p.Primary) }); err != nil {
				return err
			}
			_, err := p.awaitPromotion(ctx, began, p.Allow.Serve+30*time.Second)
			return err
		},
	}
}

func peakLoad(_ context.Context, p *Play) error {
	p.Load = peak
	return nil
}

// cutOfNode leaves the primary alive and alone. Sessions from within it go on until Pacemaker stops it for want of quorum,
// or the majority fences it.
func cutOfNode() Fault {
	return Fault{
		ID: "F6", Title: "the primary cut off, sessions open", Must: "the majority fences it and promotes",
		Variants: []string{"carrier lost", "carrier stays"},
		Play: func(ctx context.Context, p *Play) error {
			p.Allow = losing(p)
			p.Allow.Starts = each(2, p.Primary) // as a standby when it loses quorum, and after its reboot
			cut := p.Lab.Cut
			if p.Variant == "carrier stays" {
				cut = p.Lab.SilentCut
			}
			began := time.Now()
			if err := p.inject("cut of "+p.Primary, func() error { return cut(ctx, p.Primary) }); err != nil {
				return err
			}
			if _, err := p.awaitPromotion(ctx, began, p.Allow.Serve+30*time.Second); err != nil {
				return err
			}
			if err := p.hold(ctx, 5*time.Second); err != nil {
				return err
			}
			return p.inject("the network of "+p.Primary+" is mended", func() error { return p.Lab.Heal(ctx, p.Primary) })
		},
	}
}

// failingFencing keeps the majority from knowing whether the primary is dead.
func failingFencing() Fault {
	const refused = 20 * time.Second
	return Fault{
		ID: "F8", Title: "the fence agent fails, the primary's node dead", Must: "no promotion until fencing is confirmed",
		Variants: []string{"the device is repaired", "an administrator confirms"},
		Play: func(ctx context.Context, p *Play) error {
			p.Allow = losing(p)
			p.Allow.Serve += refused + 15*time.Second // the next attempt, of those that took 3 s each
			byHand := p.Variant == "an administrator confirms"
			if byHand {
				p.Allow.Fencings, p.Allow.FencedFirst = nil, "" // the power switch never hears of it
			}
			if err := p.Lab.SetFencing(ctx, lab.FencingMode{Fail: true, Delay: 3 * time.Second}); err != nil {
				return err
			}
			began := time.Now()
			if err := p.inject("power loss of "+p.Primary, func() error { return p.Lab.KillNode(ctx, p.Primary) }); err != nil {
				return err
			}
			if err := p.unfenced(ctx, refused); err != nil {
				return err
			}
			if err := p.inject(p.Variant, func() error { return p.letFence(ctx, byHand) }); err != nil {
				return err
			}
			if _, err := p.awaitPromotion(ctx, began, 60*time.Second); err != nil {
				return err
			}
			if !byHand {
				return nil
			}
			if err := p.inject("power for "+p.Primary, func() error { return p.Lab.Boot(ctx, p.Primary) }); err != nil {
				return err
			}
			return p.Lab.SetFencing(ctx, lab.FencingMode{})
		},
	}
}

// unfenced watches that nobody is promoted while nobody knows that the primary is dead.
func (p *Play) unfenced(ctx context.Context, length time.Duration) error {
	err := p.nobodyPromoted(ctx, length)
	if b, is := asBreach(err); is {
		return breach(I2, "without any fencing, %s", b.Text)
	}
	return err
}

// letFence makes the device work again, or leaves it as it is and confirms by hand: a device that works meanwhile could
// fence first.
func (p *Play) letFence(ctx context.Context, byHand bool) error {
	if !byHand {
		return p.Lab.SetFencing(ctx, lab.FencingMode{})
	}
	_, err := p.Lab.Run(ctx, p.Standbys[0], "stonith_admin", "--confirm", p.Primary)
	return err
}

func slowFencing() Fault {
	const length = 60 * time.Second
	return Fault{
		ID: "F9", Title: "fencing takes 60 s", Must: "waits, then goes on at once",
		Play: func(ctx context.Context, p *Play) error {
			p.Allow = losing(p)
			// A standby that tried to connect all the time waits for the kernel's next try, after up to 8 s.
			p.Allow.Serve += length + 10*time.Second
			if err := p.Lab.SetFencing(ctx, lab.FencingMode{Delay: length}); err != nil {
				return err
			}
			began := time.Now()
			if err := p.inject("power loss of "+p.Primary, func() error { return p.Lab.KillNode(ctx, p.Primary) }); err != nil {
				return err
			}
			to, err := p.awaitPromotion(ctx, began, length+60*time.Second)
			if err != nil {
				return err
			}
			return p.promotedSoonAfterFencing(to)
		},
	}
}

// promotedSoonAfterFencing looks at the time between the fence device's word and the promotion.
func (p *Play) promotedSoonAfterFencing(to string) error {
	const soon = 5 * time.Second
	var dead time.Time
	for _, f := range p.fencings() {
		if f.Victim == p.Primary && f.Error == "" {
			dead = f.Answered
		}
	}
	for _, found := range p.promotions() {
		if found.node != to {
			continue
		}
		if waited := found.At.Sub(dead); !dead.IsZero() && waited > soon {
			p.breached(I6, "%s was promoted %.1f s after the fencing was confirmed, more than %s", to, waited.Seconds(), soon)
		}
		p.note("%s is promoted, %s after the fencing", to, fmt.Sprintf("%.1f s", found.At.Sub(dead).Seconds()))
	}
	return nil
}
