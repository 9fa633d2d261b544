package faults

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"pgsqlms/test/scenario"
)

// cutReplication leaves corosync alone: to Pacemaker all nodes are fine.
func cutReplication() Fault {
	return Fault{
		ID: "F7", Title: "only the replication between the primary and its synchronous standby cut", Must: "no failover",
		Variants: []string{"one standby", "every standby"},
		Play: func(ctx context.Context, p *Play) error {
			// After a minute, and five monitors, without an answer a standby believes no promotion score any more (unreachable, in standby.go).
			length := max(9*(p.monitor()+time.Second), 75*time.Second)
			p.Allow = Allowance{Serve: promoteTime, Whole: streamTime}
			standbys := p.Standbys[:1]
			if p.Variant == "every standby" {
				standbys = p.Standbys
				if p.Mode == Sync {
					p.Allow.Serve += length
				}
			}
			err := p.cutReplication(ctx, standbys, length)
			p.noVotes()
			return err
		},
	}
}

// noVotes wants that nobody has voted beside the primary: such a vote would speak for its node long after.
func (p *Play) noVotes() {
	for node, log := range p.logs() {
		for _, v := range log.Votes {
			p.breached(I3, "%s voted at %s, beside a primary: WAL up to %s on timeline %d", node, clock(v.At), v.Position.LSN, v.Position.Timeline)
		}
	}
}

// cutReplication keeps standbys from the primary's PostgreSQL for a while.
func (p *Play) cutReplication(ctx context.Context, standbys []string, length time.Duration) error {
	for _, standby := range standbys {
		err := p.inject("replication from "+p.Primary+" to "+standby+" cut", func() error {
			return p.Lab.BlockPort(ctx, p.Primary, standby, pgPort)
		})
		if err != nil {
			return err
		}
	}
	if err := p.hold(ctx, length); err != nil {
		return err
	}
	return p.inject("replication mended", func() error { return p.Lab.Unblock(ctx, p.Primary) })
}

// restartedStandbys have received nothing since their start, or say that they have received up to the begin of a segment.
func restartedStandbys() Fault {
	return Fault{
		ID: "F12", Title: "the standbys restarted, then the primary's node destroyed", Must: "no deadlock, the right winner",
		Variants: []string{"they stream again", "they do not stream yet", "they do not stream yet, and one lags", stoodStill},
		Play: func(ctx context.Context, p *Play) error {
			p.Allow = losing(p)
			if p.Variant == stoodStill {
				return p.silentVoter(ctx)
			}
			p.Allow.Starts = each(1, p.nodes()...)
			p.Allow.Serve += 10 * time.Second // with synchronous replication, for the restarts
			if p.Variant == "they do not stream yet, and one lags" {
				if err := p.starve(ctx, p.Standbys[0]); err != nil {
					return err
				}
			}
			if p.Variant != "they stream again" {
				for _, standby := range p.Standbys {
					if err := p.Lab.BlockPort(ctx, p.Primary, standby, pgPort); err != nil {
						return err
					}
				}
			}
			began := time.Now()
			err := p.inject("restart of the standbys", func() error {
				return p.eachOf(p.Standbys, func(node string) error { return p.restart(ctx, node) })
			})
			if err != nil {
				return err
			}
			for _, standby := range p.Standbys {
				if p.foundDown(standby, began) {
					p.note("Pacemaker found %s down in its restart, and starts it as well", standby)
					p.Allow.Starts[standby]++
				}
			}
			if p.Variant == "they stream again" {
				if err := p.awaitStreaming(ctx, p.Standbys...); err != nil {
					return err
				}
			}
			began = time.Now()
			if err := p.inject("power loss of "+p.Primary, func() error { return p.Lab.KillNode(ctx, p.Primary) }); err != nil {
				return err
			}
			_, err = p.awaitPromotion(ctx, began, p.Allow.Serve+30*time.Second)
			return err
		},
	}
}

// restart restarts an instance by hand. A monitor that comes while it is down has Pacemaker start it too; pg_ctl then finds
// another postmaster, which is no failure as long as the instance is up.
func (p *Play) restart(ctx context.Context, node string) error {
	before := len(p.logOf(node).Starts)
	err := p.Lab.PgCtl(ctx, node, "restart")
	if err == nil {
		return nil
	}
	up := await(ctx, 20*time.Second, 200*time.Millisecond, func(ctx context.Context) string {
		if len(p.logOf(node).Starts) == before {
			return "nobody has started it"
		}
		if _, err := p.Lab.SQL(ctx, node, "select 1"); err != nil {
			return err.Error()
		}
		return ""
	})
	if up != nil {
		return errors.Join(err, up)
	}
	p.note("Pacemaker was faster in starting %s: %v", node, err)
	return nil
}

// foundDown says that a recurring monitor has found the instance down since then.
func (p *Play) foundDown(node string, since time.Time) bool {
	return slices.ContainsFunc(p.logOf(node).Down, func(at time.Time) bool { return at.After(since) })
}

// stoodStill is F12 without a restart: a standby that is there, and says nothing.
const stoodStill = "not restarted, the postmaster of one stopped"

// silentVoter has the primary's node destroyed while a standby's postmaster stands still. Its vote cannot be had until a
// monitor has found that and the instance was started again, and nobody may wait for that: unless, with synchronous
// replication, it is the vote that settles it.
func (p *Play) silentVoter(ctx context.Context) error {
	const silence = 5 * time.Second // that a vote is waited for
	candidate, silent := p.Standbys[0], p.Standbys[1]
	p.Allow.Serve += silence
	p.Allow.Starts[silent] = 1
	if p.Mode == Sync { // the monitor's interval and its timeout, and the recovery; or until the old primary is back
		p.Allow.Serve += p.monitor() + 30*time.Second
		p.Allow.Starts[candidate] = refused
	}
	err := p.inject("SIGSTOP of the postmaster of "+silent, func() error { return p.Lab.SignalPostgres(ctx, silent, "", unix.SIGSTOP) })
	if err != nil {
		return err
	}
	began := time.Now()
	if err := p.inject("power loss of "+p.Primary, func() error { return p.Lab.KillNode(ctx, p.Primary) }); err != nil {
		return err
	}
	to, err := p.awaitPromotion(ctx, began, p.Allow.Serve+30*time.Second)
	if err != nil {
		return err
	}
	p.note("%s is promoted", to)
	if err := p.Lab.SignalPostgres(ctx, silent, "", unix.SIGCONT); err != nil { // it may be down, or another one by now
		p.note("%v", err)
	}
	return nil
}

// pausedReplay leaves the candidates with WAL that they have received and not replayed.
func pausedReplay() Fault {
	return Fault{
		ID: "F14", Title: "replay paused, or much WAL to replay, on the candidates", Must: "goes on; a reason while it takes time",
		Variants: []string{"paused", "much to replay"},
		Play: func(ctx context.Context, p *Play) error {
			p.Allow = losing(p)
			for _, standby := range p.Standbys {
				err := p.inject("replay paused on "+standby, func() error {
					_, err := p.Lab.SQL(ctx, standby, "select pg_wal_replay_pause()")
					return err
				})
				if err != nil {
					return err
				}
			}
			if p.Variant == "much to replay" {
				p.Allow.Serve += 60*time.Second + time.Duration(p.Size.ReplayMB)*100*time.Millisecond
				if err := p.inject(fmt.Sprintf("%d MB of WAL", p.Size.ReplayMB), func() error { return p.writeWAL(ctx, p.Size.ReplayMB) }); err != nil {
					return err
				}
			} else if err := scenario.Pause(ctx, 2*time.Second); err != nil {
				return err
			}
			began := time.Now()
			if err := p.inject("power loss of "+p.Primary, func() error { return p.Lab.KillNode(ctx, p.Primary) }); err != nil {
				return err
			}
			to, err := p.awaitPromotion(ctx, began, p.Allow.Serve+30*time.Second)
			if err != nil {
				return err
			}
			return p.resume(ctx, to)
		},
	}
}

// resume lets the standbys replay again that were not promoted: a paused one does not follow the new primary.
func (p *Play) resume(ctx context.Context, promoted string) error {
	for _, standby := range p.Standbys {
		if standby == promoted {
			continue
		}
		err := p.inject("replay resumed on "+standby, func() error {
			_, err := p.Lab.SQL(ctx, standby, "select pg_wal_replay_resume()")
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// dirtyMemory makes a checkpoint impossible: whoever waits for one waits for ever.
func dirtyMemory() Fault {
	return Fault{
		ID: "F15", Title: "much dirty memory, a disk that never ends a checkpoint", Must: "no wait for a checkpoint on a failover",
		Play: func(ctx context.Context, p *Play) error {
			p.Allow = losing(p)
			p.Allow.Serve += 5 * time.Second // while the WAL is written, acknowledgements are slow
			if err := p.inject("48 MB of dirty memory", func() error { return p.writeWAL(ctx, 48) }); err != nil {
				return err
			}
			for _, standby := range p.Standbys {
				err := p.inject("the checkpointer of "+standby+" stands still", func() error {
					return p.Lab.SignalPostgres(ctx, standby, "checkpointer", unix.SIGSTOP)
				})
				if err != nil {
					return err
				}
			}
			began := time.Now()
			if err := p.inject("power loss of "+p.Primary, func() error { return p.Lab.KillNode(ctx, p.Primary) }); err != nil {
				return err
			}
			_, err := p.awaitPromotion(ctx, began, p.Allow.Serve+30*time.Second)
			if err == nil {
				err = p.awaitWrites(ctx, time.Now(), p.Allow.Serve)
			}
			for _, standby := range p.Standbys {
				if cont := p.Lab.SignalPostgres(ctx, standby, "checkpointer", unix.SIGCONT); err == nil {
					err = cont
				}
			}
			return err
		},
	}
}
