package faults

import (
	"context"
	"time"
)

// skewedClocks puts an hour between each two nodes.
func skewedClocks() Fault {
	return Fault{
		ID: "F21", Title: "clocks an hour apart, and a switchover, or the primary's node destroyed", Must: "no effect",
		Variants: []string{"power loss", "switchover"},
		Spoils:   true,
		Prepare: func(ctx context.Context, p *Play) error {
			p.skew = map[string]time.Duration{p.Standbys[0]: time.Hour, p.Standbys[1]: -time.Hour}
			for _, node := range p.Standbys {
				if err := p.Lab.SkewClock(ctx, node, p.skew[node]); err != nil {
					return err
				}
				if err := p.Lab.StopCluster(ctx, node); err != nil {
					return err
				}
				if err := p.Lab.StartCluster(ctx, node); err != nil {
					return err
				}
				if err := p.stand.whole(ctx); err != nil {
					return err
				}
			}
			return nil
		},
		Play: func(ctx context.Context, p *Play) error {
			began := time.Now()
			if p.Variant == "switchover" {
				target := p.Standbys[0]
				p.Allow = moving(1)
				p.Allow.Starts[p.Primary] = 1
				return p.inject("move from "+p.Primary+" to "+target, func() error { return p.Lab.Move(ctx, target) })
			}
			p.Allow = losing(p)
			if err := p.powerLoss(ctx, p.Primary); err != nil {
				return err
			}
			_, err := p.awaitPromotion(ctx, began, p.Allow.Serve+30*time.Second)
			return err
		},
	}
}
