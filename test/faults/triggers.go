package faults

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"pgsqlms/test/lab"
	"pgsqlms/test/scenario"
)

// Failpoints that no ordinary day comes by: each has a trigger of its own.
const (
	pointNominate = "start-nominate"
	pointAside    = "notify-aside"
	pointBoth     = "notify-score"
	pointHold     = "promote-hold"
	pointSkipped  = "promote-skipped"
)

// trigger makes the cluster promote and demote.
type trigger struct {
	name   string
	do     func() error
	after  func() error  // takes back what do left behind
	settle time.Duration // by when the actions that it causes have begun
}

// triggersOf are those that are tried until one comes by a failpoint: what happens every day first.
func (p *Play) triggersOf(ctx context.Context, k killing) []trigger {
	switch k.point {
	case pointNominate:
		return []trigger{p.coldStart(ctx)}
	case pointAside, pointBoth:
		return []trigger{p.lossWithAStarvedBest(ctx)}
	case pointHold:
		return []trigger{p.lossWithoutAVoter(ctx)}
	case pointSkipped:
		return []trigger{p.lossOfTwoInTurn(ctx)}
	}
	everyday := p.triggers(ctx)
	if k.within == demotion { // after a crash or a power loss nobody is demoted who goes on
		return everyday[:1]
	}
	return everyday
}

// triggers are those of every day, a switchover first.
func (p *Play) triggers(ctx context.Context) []trigger {
	target := p.Standbys[p.Rand.IntN(len(p.Standbys))]
	return []trigger{
		{"switchover to " + target, func() error { return p.Lab.StartMove(ctx, target) }, func() error {
			// Not on the target, which may have lost its power.
			return p.anywhere(ctx, "crm_resource", "--clear", "--resource", lab.CloneResource)
		}, 15 * time.Second},
		{"crash of the primary's postmaster", func() error { return p.Lab.KillPostgres(ctx, p.Primary) }, nil, p.monitor() + 15*time.Second},
		{"power loss of the primary", func() error {
			return p.losePrimary(ctx, p.Primary)
		}, nil, 30 * time.Second},
	}
}

// coldStart leaves nobody with a promotion score.
func (p *Play) coldStart(ctx context.Context) trigger {
	return trigger{"stop and start of the whole cluster", func() error {
		if err := p.eachOf(p.nodes(), func(n string) error { return p.Lab.StopCluster(ctx, n) }); err != nil {
			return err
		}
		return p.eachOf(p.nodes(), func(n string) error { return p.Lab.StartCluster(ctx, n) })
	}, nil, 60 * time.Second}
}

// lossWithAStarvedBest has the candidate hold less than the other standby.
func (p *Play) lossWithAStarvedBest(ctx context.Context) trigger {
	return trigger{"power loss of the primary, its best standby starved", func() error {
		return errors.Join(p.starve(ctx, p.Standbys[0]), p.losePrimary(ctx, p.Primary))
	}, nil, 30 * time.Second}
}

// lossWithoutAVoter keeps a vote away that settles it with synchronous replication.
func (p *Play) lossWithoutAVoter(ctx context.Context) trigger {
	voter := p.Standbys[1]
	standby := []string{"crm_attribute", "--node", voter, "--name", "standby"}
	return trigger{"power loss of the primary, a standby out of service", func() error {
		if err := p.anywhere(ctx, append(standby, "--update", "on")...); err != nil {
			return err
		}
		err := await(ctx, 30*time.Second, 200*time.Millisecond, func(ctx context.Context) string {
			if out, err := p.Lab.SQL(ctx, voter, "select 1"); err == nil {
				return voter + " answers: " + out
			}
			return ""
		})
		return errors.Join(err, p.losePrimary(ctx, p.Primary))
	}, func() error { return p.anywhere(ctx, append(standby, "--delete")...) }, 45 * time.Second}
}

// rebuildWait is the time for a fenced node to come back, which lossOfTwoInTurn makes 45 s, and to be found diverged.
const rebuildWait = 90 * time.Second

// lossOfTwoInTurn has a timeline begun that the next primary does not hold, and that nobody is there to tell of: nobody can
// stream from who has begun it, and that one stays away until the next promotion.
func (p *Play) lossOfTwoInTurn(ctx context.Context) trigger {
	const away = 45 * time.Second
	one, other := p.Standbys[0], p.Standbys[1]
	return trigger{"power loss of the primary, and of the next one, which nobody can follow", func() error {
		err := errors.Join(p.Lab.BlockPort(ctx, one, other, pgPort), p.Lab.BlockPort(ctx, other, one, pgPort))
		if err != nil {
			return err
		}
		began := time.Now()
		if err := p.losePrimary(ctx, p.Primary); err != nil {
			return err
		}
		next, err := p.awaitPromotion(ctx, began, 60*time.Second)
		if err != nil {
			return err
		}
		// The old primary comes back, could follow as well, and may be the one that is promoted next: it has lost the failpoint.
		if err := errors.Join(p.Lab.BlockPort(ctx, next, p.Primary, pgPort), p.awaitPower(ctx, p.Primary), p.setFailpoint(ctx, p.armed)); err != nil {
			return err
		}
		if err := p.Lab.SetFencing(ctx, lab.FencingMode{Reboot: away}); err != nil {
			return err
		}
		if err := p.losePrimary(ctx, next); err != nil {
			return err
		}
		return errors.Join(p.awaitFenced(ctx, next), p.Lab.SetFencing(ctx, lab.FencingMode{Reboot: p.stand.reboot()}))
	}, func() error {
		err := p.eachOf(p.Standbys, func(n string) error { return p.unblock(ctx, n) })
		return errors.Join(err, p.rebuildOneOfTwo(ctx))
	}, 60 * time.Second}
}

// rebuildOneOfTwo does what an administrator has to do where both primaries that were lost come back with WAL that nobody had:
// with synchronous replication no commit is acknowledged before.
func (p *Play) rebuildOneOfTwo(ctx context.Context) error {
	if p.Mode != Sync {
		return nil
	}
	for end := time.Now().Add(rebuildWait); time.Now().Before(end); {
		now := p.behindNow(ctx)
		if now.status != nil && slices.ContainsFunc(p.nodes(), func(n string) bool { return now.status.Nodes[n].Streaming }) {
			return nil
		}
		if diverged := now.diverged(); len(diverged) == len(p.nodes())-1 {
			node := slices.Min(slices.Collect(maps.Keys(diverged)))
			p.Allow.Serve += rebuildWait
			return p.settleDiverged(ctx, node, diverged[node])
		}
		if err := scenario.Pause(ctx, time.Second); err != nil {
			return err
		}
	}
	return nil // what is missing then is found by who waits for writes
}

// awaitPower waits for the end of a fenced node's reboot.
func (p *Play) awaitPower(ctx context.Context, node string) error {
	return await(ctx, 30*time.Second, 100*time.Millisecond, func(ctx context.Context) string {
		power, err := p.Lab.Power(ctx)
		if err != nil {
			return err.Error()
		}
		if !power[node].Powered {
			return node + " has no power"
		}
		return ""
	})
}

// losePrimary takes a primary's power away.
func (p *Play) losePrimary(ctx context.Context, node string) error {
	p.Allow.AsyncLoss = true
	p.Allow.Fencings[node]++
	p.Allow.Diverging = append(p.Allow.Diverging, node)
	return p.Lab.KillNode(ctx, node)
}
