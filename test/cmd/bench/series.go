package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"pgsqlms/test/lab"
	"pgsqlms/test/scenario"
)

// series is one run of the benchmark: turn after turn, the agents by turns within each.
type series struct {
	options  options
	report   *report
	progress func(string)
}

// run goes on after a turn that failed: an agent that does not recover is a finding, not the end of the comparison.
func (s *series) run(ctx context.Context) error {
	var failures []error
	began := time.Now()
	parts := []struct {
		what []string
		do   func(context.Context, int, agent, []string) []error
	}{{light, s.turn}, {heavy, s.heavyTurn}, {[]string{whatInstances}, s.instancesTurn}, {[]string{whatGrowth}, s.growthTurn}}
	for _, turn := range s.options.turns {
		for _, part := range parts {
			for _, a := range s.options.agents {
				what := slices.DeleteFunc(among(part.what, s.options.what), func(what string) bool { return !a.can(what) })
				if len(what) == 0 {
					continue
				}
				if time.Since(began) > s.options.sooner {
					s.progress("the time is over: see -for")
					return errors.Join(append(failures, errTime)...)
				}
				failures = append(failures, s.told(turn, a, part.do(ctx, turn-1, a, what))...)
				s.save()
				if ctx.Err() != nil {
					return ctx.Err()
				}
			}
		}
	}
	return errors.Join(failures...)
}

// told tells of what went wrong in a part of a turn, and gives what of it is a failure of the bench.
func (s *series) told(turn int, a agent, errs []error) []error {
	var failures []error
	for _, err := range errs {
		err = fmt.Errorf("turn %d, %s: %w", turn, a.Name, err)
		s.progress(err.Error())
		if !errors.Is(err, errFinding) {
			failures = append(failures, err)
		}
	}
	return failures
}

// save keeps what was measured so far: a run takes hours, and may not come to its end.
func (s *series) save() {
	if err := s.report.save(s.options); err != nil {
		s.progress("save: " + err.Error())
	}
}

// errTime says that not all turns were played.
var errTime = errors.New("not all turns were played within the time given by -for")

// turn measures light things once, on a fresh cluster.
func (s *series) turn(ctx context.Context, turn int, a agent, what []string) []error {
	return s.onClusters(ctx, turn, a, s.options.configOf(a), what)
}

// heavyTurn measures heavy things once, on a fresh cluster with memory for them.
func (s *series) heavyTurn(ctx context.Context, turn int, a agent, what []string) []error {
	if err := enoughMemory(s.options.largest(), meminfo()); err != nil {
		return []error{err}
	}
	config := s.options.configOf(a)
	config.PGConf = heavyConf(s.options.largest())
	return s.onClusters(ctx, turn, a, config, what)
}

// cluster is a lab that is up, for one agent in one turn.
type cluster struct {
	*lab.Lab
	turn     int // from 0
	agent    agent
	nodes    int              // where their number is what differs, or 0
	corosync *corosyncFigures // nil without corosync
	say      func(string)
}

// onClusters brings a cluster up with one agent, measures each thing once, and takes it down.
func (s *series) onClusters(ctx context.Context, turn int, a agent, config lab.Config, what []string) []error {
	return untilDone(ctx, what, func(left []string) (done int, err error) {
		err = s.withLab(ctx, turn, a, config, func(c *cluster) error {
			for _, one := range left {
				done++
				if err := s.measure(ctx, c, one); err != nil {
					return err
				}
			}
			return nil
		})
		return done, err
	})
}

// untilDone has a cluster measure what is left, until nothing is. Whatever ends badly takes its cluster with it, and not the
// figures of what comes after it: that gets a fresh one. Where not even the first thing was begun, nothing more is tried.
func untilDone(ctx context.Context, what []string, onCluster func(left []string) (done int, err error)) []error {
	var failed []error
	for len(what) > 0 && ctx.Err() == nil {
		done, err := onCluster(what)
		if err != nil {
			failed = append(failed, err)
		}
		if done == 0 {
			break
		}
		what = what[done:]
	}
	return failed
}

// withLab does something with a fresh lab, keeps its logs if that fails, and takes it down.
func (s *series) withLab(ctx context.Context, turn int, a agent, config lab.Config, do func(*cluster) error) error {
	c := &cluster{turn: turn, agent: a, nodes: config.Nodes,
		say: func(text string) { s.progress(fmt.Sprintf("turn %d of %d, %s: %s", turn+1, s.options.n, a.Name, text)) }}
	c.say("bringing the cluster up")
	s.report.loaded(turn+1, a)
	err := replaced(func() (err error) { c.Lab, err = lab.Up(ctx, config, nil); return err },
		func() error { return lab.Down(ctx, config.Name) }, c.say)
	if err != nil {
		return fmt.Errorf("bring the cluster up: %w", err)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		if err := c.Down(ctx); err != nil {
			c.say("take the cluster down: " + err.Error())
		}
	}()
	err = s.describe(ctx, c)
	if err == nil {
		err = do(c)
	}
	if err != nil {
		return errors.Join(err, s.keepLogs(c))
	}
	return nil
}

// replaced brings a lab up. One of that name that is there already was left by a cluster that could not be taken down, of
// this run or of one before; nobody else uses the name, see lab.Reserve.
func replaced(up, down func() error, say func(string)) error {
	err := up()
	if !errors.Is(err, lab.ErrExists) {
		return err
	}
	say(err.Error() + ": it was left there, and is taken away")
	if err := down(); err != nil {
		return err
	}
	return up()
}

// describe notes what decides how soon the system acts.
func (s *series) describe(ctx context.Context, c *cluster) error {
	packages, err := c.Packages()
	if err != nil {
		return err
	}
	s.report.versions(packages)
	if c.Fences() {
		corosync, err := corosyncOf(ctx, c.Lab)
		if err != nil {
			return err
		}
		c.corosync = &corosync
	}
	if c.Config().NoResources {
		return nil
	}
	database, err := c.DatabaseSettings(ctx)
	if err != nil {
		return err
	}
	s.report.configured(c.agent, c.Settings())
	s.report.configured(c.agent, database)
	if c.corosync != nil {
		s.report.configured(c.agent, map[string]string{"token in effect": seconds(c.corosync.Token), "consensus in effect": seconds(c.corosync.Consensus)})
	}
	return nil
}

// keepLogs saves what the nodes logged in a turn that failed.
func (s *series) keepLogs(c *cluster) error {
	if s.options.logs == "" {
		return nil
	}
	dir := filepath.Join(s.options.logs, fmt.Sprintf("turn%d-%s-%s", c.turn+1, c.agent.Name, time.Now().UTC().Format("150405")))
	return c.CollectLogs(dir)
}

// measure measures one thing, and saves what there is then.
func (s *series) measure(ctx context.Context, c *cluster, what string) error {
	defer s.save()
	if what == whatMonitor {
		c.say("monitor")
		samples, err := monitorCosts(ctx, c.Lab, s.options.monitors)
		for _, sample := range samples {
			sample.Agent, sample.Turn, sample.Run = c.agent.Name, c.turn+1, 1
			s.report.Monitors = append(s.report.Monitors, sample)
		}
		return err
	}
	sample, err := s.play(ctx, c, what)
	if c.nodes > 0 {
		s.report.Growth = append(s.report.Growth, sample)
	} else {
		s.report.Faults = append(s.report.Faults, sample)
	}
	return err
}

// play injects one fault. What an agent did wrong after its gap was measured is a finding.
func (s *series) play(ctx context.Context, c *cluster, what string) (faultFigures, error) {
	c.say(what)
	runner := scenario.Runner{Lab: c.Lab, Settle: settle, Repair: c.Rebuild,
		SteadyFrom: func(ctx context.Context) time.Duration { return steady(ctx, c.Lab, what, c.turn, s.options.n) }}
	if slices.Contains(heavy, what) {
		runner.Settle *= 3
	}
	result, err := runner.Run(ctx, s.options.fault(what))
	sample := faultSample(what, result, err)
	sample.Agent, sample.Turn, sample.Run = c.agent.Name, c.turn+1, 1
	sample.Nodes = c.nodes
	sample.Corosync, sample.Interval = c.corosync, lookInterval(c.Lab).Seconds()
	c.say(fmt.Sprintf("%s: write gap %s", what, seconds(sample.Gap)))
	if err != nil && sample.Measured {
		err = fmt.Errorf("%w: %w", errFinding, err)
	}
	return sample, err
}

// errFinding marks what an agent did wrong after its gap was measured. It ends the cluster, but is no failure of the bench.
var errFinding = errors.New("measured, but then")

func (o options) fault(what string) scenario.Scenario {
	switch what {
	case whatSwitchover:
		return scenario.Switchover("")
	case whatSwitchoverLoad:
		return scenario.WithLoad(scenario.Switchover(""), o.loadMB)
	case whatKillPG:
		return scenario.KillPostgres()
	case whatKillNodeClean:
		return scenario.WithClean(scenario.KillNode(), o.dirtyMB)
	case whatKillNodeBacklog:
		return scenario.WithBacklog(scenario.KillNode(), o.backlogMB)
	case whatKillNodeDirty:
		return scenario.WithDirty(scenario.KillNode(), o.dirtyMB)
	default:
		return scenario.KillNode()
	}
}

// settle bounds the wait for all nodes to stream: an agent may never bring a lost node back, and the gap is known by then.
const settle = time.Minute

// slowestMonitor is the longest interval of a monitor that any agent has, see lab.RecommendedOps.
const slowestMonitor = 16 * time.Second

// leastSteady is how long there is writing before any fault.
const leastSteady = 2 * time.Second

// steady is the writing before the fault. What a crash of PostgreSQL costs hangs on how far away the next look at it is:
// the turns spread over the interval, in the same way for every agent.
func steady(ctx context.Context, l *lab.Lab, what string, turn, turns int) time.Duration {
	if what != whatKillPG {
		return leastSteady
	}
	interval := lookInterval(l)
	phase := interval * time.Duration(2*turn+1) / time.Duration(2*turns)
	primary, err := l.Primary(ctx)
	if err != nil {
		return leastSteady // the scenario will say so
	}
	began, ok := scenario.MonitoredSince(l, primary)
	if !ok {
		return leastSteady + phase
	}
	return untilPhase(time.Since(began), phase, interval)
}

// lookInterval is how often somebody looks at the primary.
func lookInterval(l *lab.Lab) time.Duration {
	c := l.Config()
	if c.Agent == lab.AgentPatroni {
		return c.Patroni.LoopWait
	}
	return cmp.Or(lab.MonitorInterval(c.Ops, "Promoted"), slowestMonitor)
}

// untilPhase is the time, not below the least, until a monitor that ran first some time ago is at a phase of its interval.
func untilPhase(since, phase, interval time.Duration) time.Duration {
	now := (since + leastSteady) % interval
	return leastSteady + (phase-now+interval)%interval
}
