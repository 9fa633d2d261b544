package faults

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"pgsqlms/internal/crm"
	"pgsqlms/test/lab"
	"pgsqlms/test/scenario"
)

// ignoreQuorum lets a node that is alone act, so that it is the agent's rule that keeps it from being promoted.
func ignoreQuorum(ctx context.Context, p *Play) error {
	_, err := p.Lab.Run(ctx, p.Primary, "crm_attribute", "--type", "crm_config", "--name", "no-quorum-policy", "--update", "ignore")
	return err
}

func heedQuorum(ctx context.Context, p *Play) error {
	_, err := p.Lab.Run(ctx, p.nodes()[0], "crm_attribute", "--type", "crm_config", "--name", "no-quorum-policy", "--delete")
	return err
}

// powerLoss takes the power from several nodes at once.
func (p *Play) powerLoss(ctx context.Context, nodes ...string) error {
	return p.inject("power loss of "+strings.Join(nodes, " and "), func() error {
		return p.eachOf(nodes, func(node string) error { return p.Lab.KillNode(ctx, node) })
	})
}

func (p *Play) boot(ctx context.Context, node string) error {
	return p.inject("power for "+node, func() error { return p.Lab.Boot(ctx, node) })
}

// staysDown keeps a fencing from giving a node its power back.
func (p *Play) staysDown(ctx context.Context) error {
	return p.Lab.SetFencing(ctx, lab.FencingMode{Reboot: -1})
}

// refused is what a standby may do that asks to be promoted again and again: a refusal is followed by a stop and a start,
// until its migration-threshold.
const refused = 5

// lossOfMajority leaves one standby, which lacks what the other one has confirmed.
func lossOfMajority() Fault {
	return Fault{
		ID: "F10", Title: "the primary and one of two synchronous standbys die together", Must: "no promotion until a vote that settles it is back",
		Prepare: ignoreQuorum, Restore: heedQuorum,
		Play: func(ctx context.Context, p *Play) error {
			left, confirmed := p.Standbys[0], p.Standbys[1]
			p.Allow = losing(p)
			p.Allow.Starts[confirmed], p.Allow.Starts[left] = 1, refused
			p.Allow.Fencings[confirmed] = 1
			if p.Mode == Async { // nothing stands in the way, and what is lost is lost
				p.Allow.Diverging = append(p.Allow.Diverging, confirmed)
			}
			if err := p.staysDown(ctx); err != nil {
				return err
			}
			if err := p.starve(ctx, left); err != nil {
				return err
			}
			if err := scenario.Pause(ctx, time.Second); err != nil {
				return err
			}
			began := time.Now()
			if err := p.powerLoss(ctx, p.Primary, confirmed); err != nil {
				return err
			}
			if err := p.awaitFenced(ctx, p.Primary, confirmed); err != nil {
				return err
			}
			if p.Mode == Async {
				p.Allow.Serve += 30 * time.Second
				return p.promotedWithout(ctx, began, confirmed)
			}
			p.Allow.Serve += 60 * time.Second
			p.Allow.Reasons = []string{fmt.Sprintf(`on %s: .*\b(%s|%s)\b`, left, p.Primary, confirmed)}
			return p.promotedOnlyWith(ctx, confirmed)
		},
	}
}

// promotedWithout wants a promotion at once, and gives the others their power back.
func (p *Play) promotedWithout(ctx context.Context, began time.Time, other string) error {
	if _, err := p.awaitPromotion(ctx, began, 60*time.Second); err != nil {
		return err
	}
	if err := p.awaitWrites(ctx, time.Now(), 30*time.Second); err != nil {
		return err
	}
	if err := p.boot(ctx, other); err != nil {
		return err
	}
	return p.boot(ctx, p.Primary)
}

// promotedOnlyWith wants no promotion before a node is back, and then one by itself.
func (p *Play) promotedOnlyWith(ctx context.Context, confirmed string) error {
	if err := p.nobodyPromoted(ctx, 25*time.Second); err != nil {
		return err
	}
	back := time.Now()
	if err := p.boot(ctx, confirmed); err != nil {
		return err
	}
	if _, err := p.awaitPromotion(ctx, back, 60*time.Second); err != nil {
		return err
	}
	if err := p.awaitWritesPossible(ctx); err != nil {
		return err
	}
	return p.boot(ctx, p.Primary)
}

// awaitWritesPossible waits for the database of a new primary. With synchronous replication a row may have to wait for a
// standby that comes later.
func (p *Play) awaitWritesPossible(ctx context.Context) error {
	return await(ctx, 30*time.Second, 200*time.Millisecond, func(ctx context.Context) string {
		if _, err := p.Lab.Primary(ctx); err != nil {
			return err.Error()
		}
		return ""
	})
}

// awaitFenced waits until the power switch has been asked for nodes, and has answered.
func (p *Play) awaitFenced(ctx context.Context, nodes ...string) error {
	err := await(ctx, 45*time.Second, 200*time.Millisecond, func(context.Context) string {
		for _, node := range nodes {
			if !slices.ContainsFunc(p.fencings(), func(f lab.Fencing) bool { return f.Victim == node && f.Error == "" }) {
				return node + " was not fenced"
			}
		}
		return ""
	})
	if err != nil && ctx.Err() == nil {
		return breach(I6, "%v", err)
	}
	return err
}

// staleStandby is alone with what it had when it was lost.
func staleStandby() Fault {
	return Fault{
		ID: "F11", Title: "a standby down, writes go on, the others down, that standby up alone",
		Must:     "it is never promoted, and says for whom it waits",
		Modes:    []Mode{Sync},
		Variants: []string{"it lost its power", "it was stopped"},
		Prepare:  ignoreQuorum, Restore: heedQuorum,
		Play: func(ctx context.Context, p *Play) error {
			stale, other := p.Standbys[0], p.Standbys[1]
			p.Allow = losing(p)
			p.Allow.FencedFirst = ""
			p.Allow.Starts = map[string]int{p.Primary: 1, other: 2, stale: refused}
			p.Allow.Fencings = each(2, p.nodes()...)
			p.Allow.Forked = []string{stale} // not forked, and not to be promoted either
			p.Allow.Serve += 150 * time.Second
			if err := p.staysDown(ctx); err != nil {
				return err
			}
			if err := p.lose(ctx, stale); err != nil {
				return err
			}
			if err := p.awaitWrites(ctx, time.Now(), 30*time.Second); err != nil {
				return err
			}
			if err := scenario.Pause(ctx, 3*time.Second); err != nil {
				return err
			}
			if err := p.powerLoss(ctx, p.Primary, other); err != nil {
				return err
			}
			if err := p.boot(ctx, stale); err != nil {
				return err
			}
			if err := p.nobodyPromoted(ctx, 40*time.Second); err != nil {
				return err
			}
			if err := p.showsAwaited(ctx, stale, p.Primary, other); err != nil {
				return err
			}
			return p.promotedOnlyWith(ctx, other)
		},
	}
}

// showsAwaited wants the cluster to say for whom a node waits that is alone and is not promoted. PAF shows nothing of the kind.
func (p *Play) showsAwaited(ctx context.Context, alone string, others ...string) error {
	if p.stand.config.Agent == lab.AgentPAF {
		return nil
	}
	said, err := awaitNamed(ctx, 3*p.monitor()+shownWait, p.Lab.Status, alone, others)
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		p.breached(I8, "%s is alone, and its status does not say for whom it waits: %v", alone, err)
		return nil
	}
	p.note("%s says: %s", alone, said)
	return nil
}

// awaitNamed waits until the status of a node, as crm_mon -A shows it, names one of others.
func awaitNamed(ctx context.Context, bound time.Duration, ask asker, node string, others []string) (said string, err error) {
	name := regexp.MustCompile(`\b(` + strings.Join(others, "|") + `)\b`)
	err = await(ctx, bound, 500*time.Millisecond, func(ctx context.Context) string {
		status, err := ask(ctx)
		if err != nil {
			return err.Error()
		}
		if said = status.Nodes[node].Attributes[crm.StatusAttribute(lab.Resource)]; !name.MatchString(said) {
			return fmt.Sprintf("it says %q", said)
		}
		return ""
	})
	return said, err
}

// lose takes a standby away, as the variant has it.
func (p *Play) lose(ctx context.Context, standby string) error {
	if p.Variant == "it was stopped" {
		if err := p.inject("Pacemaker stopped on "+standby, func() error { return p.Lab.StopCluster(ctx, standby) }); err != nil {
			return err
		}
	}
	return p.powerLoss(ctx, standby)
}

// Variants of a forked standby: how far ahead it is, and when it meets the cluster again.
const (
	oneAhead    = "one timeline ahead"
	threeAhead  = "three timelines ahead"
	startedLate = "started when the primary is gone"
)

// forkedStandby has a higher timeline than the cluster, and more WAL.
func forkedStandby() Fault {
	return Fault{
		ID: "F13", Title: "a cut-off standby promoted by hand and written to, reconnected; the primary's node destroyed, after that or before",
		Must:     "the forked higher timeline loses",
		Variants: []string{oneAhead, threeAhead, startedLate},
		Play: func(ctx context.Context, p *Play) error {
			forked, other := p.Standbys[0], p.Standbys[1]
			p.Allow = p.forking(forked, other)
			if err := p.fork(ctx, forked); err != nil {
				return err
			}
			began, err := p.meetFork(ctx, forked)
			if err != nil {
				return err
			}
			if _, err = p.awaitPromotion(ctx, began, p.Allow.Serve+20*time.Second); err != nil || p.Variant != startedLate {
				return err
			}
			return p.rebuildFork(ctx, forked)
		},
	}
}

// rebuildFork does what an administrator has to do. Where the old primary has diverged as well, as it does when it died with WAL
// that nobody had, no commit is acknowledged with synchronous replication before.
func (p *Play) rebuildFork(ctx context.Context, forked string) error {
	said := ""
	err := await(ctx, 60*time.Second, time.Second, func(ctx context.Context) string {
		if said = p.behindNow(ctx).diverged()[forked]; said == "" {
			return "nothing says that " + forked + " has diverged"
		}
		return ""
	})
	if err != nil && ctx.Err() == nil {
		return breach(I4, "%v", err)
	}
	if err != nil {
		return err
	}
	return p.settleDiverged(ctx, forked, said)
}

// meetFork has the cluster and the fork meet again, and takes the primary's node away: before that, where no primary is to tell
// the fork that it has diverged. It takes part in the election then, for which the other standby has no quorum without it.
func (p *Play) meetFork(ctx context.Context, forked string) (lost time.Time, err error) {
	join := func() error {
		return p.inject("Pacemaker started again on "+forked, func() error { return p.Lab.StartCluster(ctx, forked) })
	}
	if p.Variant == startedLate {
		lost = time.Now()
		if err := p.powerLoss(ctx, p.Primary); err != nil {
			return lost, err
		}
		return lost, join()
	}
	if err := join(); err != nil {
		return lost, err
	}
	if err := p.hold(ctx, 15*time.Second+2*p.monitor()); err != nil {
		return lost, err
	}
	return time.Now(), p.powerLoss(ctx, p.Primary)
}

// forking is what a forked standby allows, and demands.
func (p *Play) forking(forked, other string) Allowance {
	a := losing(p)
	a.Starts[forked], a.Starts[other] = refused, refused
	a.Forked = []string{forked}
	a.Diverging = append(a.Diverging, forked)
	// With its vote out of the count, synchronous replication may call for the old primary's.
	a.Serve += 60 * time.Second
	if p.Variant == startedLate {
		a.Serve += 90 * time.Second // until Pacemaker of the fork is up, nobody has a quorum to fence; and until it is rebuilt
	}
	return a
}

// fork stops a standby's Pacemaker, and promotes and fills its PostgreSQL by hand. What is in its logs so far is not the
// cluster's doing. Clients do not reach it meanwhile: what it would acknowledge is not the agent's doing either.
func (p *Play) fork(ctx context.Context, node string) error {
	if err := p.inject("Pacemaker stopped on "+node, func() error { return p.Lab.StopCluster(ctx, node) }); err != nil {
		return err
	}
	if err := p.Lab.BlockPort(ctx, node, "", pgPort); err != nil {
		return err
	}
	times := 1
	if p.Variant == threeAhead {
		times = 3
	}
	for range times {
		if err := p.inject("PostgreSQL of "+node+" started, promoted and written to by hand", func() error { return p.forkOnce(ctx, node) }); err != nil {
			return err
		}
	}
	p.markLogs(node)
	return p.Lab.Unblock(ctx, node)
}

func (p *Play) forkOnce(ctx context.Context, node string) error {
	if err := p.Lab.WriteFile(node, p.Lab.PGData()+"/standby.signal", nil, 0o600, "postgres"); err != nil {
		return err
	}
	for _, action := range []string{"start", "promote"} {
		if err := p.Lab.PgCtl(ctx, node, action); err != nil {
			return err
		}
	}
	// Nobody confirms its commits.
	sql := "set synchronous_commit = local; create table if not exists forked (t text); " +
		"insert into forked select repeat(md5(i::text), 32) from generate_series(1, 8000) i"
	psql := fmt.Sprintf(`su postgres -c "psql -X -q -v ON_ERROR_STOP=1 -h /var/run/postgresql -c \"%s\""`, sql)
	if err := p.script(ctx, node, psql); err != nil {
		return err
	}
	return p.Lab.PgCtl(ctx, node, "stop")
}

// coldStart names the orders in which nodes get their power back by the roles that they had. The last one is left out of
// some of them until a primary is there.
var coldStarts = []struct {
	order   [3]int // 0 is the primary, 1 and 2 the standbys, the best first
	leftOut bool
}{
	{[3]int{0, 1, 2}, false}, {[3]int{1, 2, 0}, false}, {[3]int{2, 0, 1}, true}, {[3]int{1, 2, 0}, true},
	{[3]int{1, 0, 2}, false}, {[3]int{2, 1, 0}, false}, {[3]int{0, 2, 1}, false}, {[3]int{2, 0, 1}, false},
	{[3]int{0, 1, 2}, true}, {[3]int{1, 0, 2}, true}, {[3]int{0, 2, 1}, true}, {[3]int{2, 1, 0}, true},
}

func coldStartNames() []string {
	roles := []string{"primary", "standby 1", "standby 2"}
	var names []string
	for _, c := range coldStarts {
		last := ", " + roles[c.order[2]]
		if c.leftOut {
			last = ", without " + roles[c.order[2]]
		}
		names = append(names, roles[c.order[0]]+", "+roles[c.order[1]]+last)
	}
	return names
}

// lossOfAll is a power cut in the whole room.
func lossOfAll() Fault {
	return Fault{
		ID: "F17", Title: "all nodes lose their power in mid-load, and are started in some order, one left out", Must: "the rules of the election, no person",
		Variants: coldStartNames(),
		Play: func(ctx context.Context, p *Play) error {
			c := coldStarts[slices.Index(coldStartNames(), p.Variant)]
			roles := append([]string{p.Primary}, p.Standbys...)
			order := []string{roles[c.order[0]], roles[c.order[1]], roles[c.order[2]]}
			first := slices.Contains(order[:2], p.Primary) // then nobody has to do without what it holds
			p.Allow = Allowance{
				AsyncLoss: !first, Promotions: Exactly(1), Starts: each(3, order...), Fencings: each(2, order...),
				Serve: 150 * time.Second, Whole: 2 * streamTime,
			}
			if !first {
				p.Allow.Diverging = []string{p.Primary}
			}
			if c.leftOut {
				if err := p.staysDown(ctx); err != nil {
					return err
				}
			}
			if err := p.powerLoss(ctx, order...); err != nil {
				return err
			}
			began := time.Now()
			for i, node := range order {
				if i == 2 && c.leftOut {
					break
				}
				if err := scenario.Pause(ctx, time.Duration(p.Rand.IntN(6000))*time.Millisecond); err != nil {
					return err
				}
				if err := p.boot(ctx, node); err != nil {
					return err
				}
			}
			if _, err := p.awaitPromotion(ctx, began, 120*time.Second); err != nil {
				return err
			}
			if !c.leftOut {
				return nil
			}
			if err := p.awaitWrites(ctx, time.Now(), 30*time.Second); err != nil {
				return err
			}
			return p.boot(ctx, order[2])
		},
	}
}
