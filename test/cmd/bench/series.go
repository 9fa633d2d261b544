package main

import (
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
		do   func(context.Context, int, agent, []string) error
	}{{light, s.turn}, {heavy, s.heavyTurn}, {[]string{whatInstances}, s.instancesTurn}, {[]string{whatGrowth}, s.growthTurn}}
	for turn := range s.options.n {
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
				if err := part.do(ctx, turn, a, what); err != nil {
					err = fmt.Errorf("turn %d, %s: %w", turn+1, a.Name, err)
					s.progress(err.Error())
					if !errors.Is(err, errFinding) {
						failures = append(failures, err)
					}
				}
				if ctx.Err() != nil {
					return ctx.Err()
				}
			}
		}
	}
	return errors.Join(failures...)
}

// errTime says that not all turns were played.
var errTime = errors.New("not all turns were played within the time given by -for")

// turn measures light things once, on a fresh cluster.
func (s *series) turn(ctx context.Context, turn int, a agent, what []string) error {
	return s.onCluster(ctx, turn, a, s.options.configOf(a), what)
}

// heavyTurn measures heavy things once, on a fresh cluster with memory for them.
func (s *series) heavyTurn(ctx context.Context, turn int, a agent, what []string) error {
	if err := enoughMemory(s.options.largest(), meminfo()); err != nil {
		return err
	}
	config := s.options.configOf(a)
	config.PGConf = heavyConf(s.options.largest())
	return s.onCluster(ctx, turn, a, config, what)
}

// onCluster brings a cluster up with one agent, measures each thing once, and takes it down.
func (s *series) onCluster(ctx context.Context, turn int, a agent, config lab.Config, what []string) error {
	return s.withLab(ctx, turn, a, config, func(l *lab.Lab, say func(string)) error {
		for _, one := range what {
			if err := s.measure(ctx, l, one, turn, a, say); err != nil {
				return err
			}
		}
		return nil
	})
}

// withLab does something with a fresh lab, keeps its logs if that fails, and takes it down.
func (s *series) withLab(ctx context.Context, turn int, a agent, config lab.Config, do func(*lab.Lab, func(string)) error) error {
	say := func(text string) { s.progress(fmt.Sprintf("turn %d of %d, %s: %s", turn+1, s.options.n, a.Name, text)) }
	say("bringing the cluster up")
	l, err := lab.Up(ctx, config, nil)
	if err != nil {
		return fmt.Errorf("bring the cluster up: %w", err)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		if err := l.Down(ctx); err != nil {
			say("take the cluster down: " + err.Error())
		}
	}()
	s.report.Settings[a.Name] = l.Settings()
	if l.Fences() {
		s.report.Token = l.Config().Token.Seconds()
		corosync, err := corosyncOf(ctx, l)
		if err != nil {
			return errors.Join(err, s.keepLogs(l, turn, a))
		}
		s.report.Corosync[a.Name] = corosync
	}
	if err := do(l, say); err != nil {
		return errors.Join(err, s.keepLogs(l, turn, a))
	}
	return nil
}

// keepLogs saves what the nodes logged in a turn that failed.
func (s *series) keepLogs(l *lab.Lab, turn int, a agent) error {
	if s.options.logs == "" {
		return nil
	}
	return l.CollectLogs(filepath.Join(s.options.logs, fmt.Sprintf("turn%d-%s", turn+1, a.Name)))
}

func (s *series) measure(ctx context.Context, l *lab.Lab, what string, turn int, a agent, say func(string)) error {
	if what == whatMonitor {
		say("monitor")
		samples, err := monitorCosts(ctx, l, s.options.monitors)
		for _, sample := range samples {
			sample.Agent, sample.Turn = a.Name, turn+1
			s.report.Monitors = append(s.report.Monitors, sample)
		}
		return err
	}
	say(what)
	sample, err := s.play(ctx, l, what, turn)
	sample.Agent, sample.Turn = a.Name, turn+1
	s.report.Faults = append(s.report.Faults, sample)
	say(fmt.Sprintf("%s: write gap %s", what, seconds(sample.Gap)))
	if err != nil && sample.Measured {
		return fmt.Errorf("%w: %w", errFinding, err)
	}
	return err
}

func (s *series) play(ctx context.Context, l *lab.Lab, what string, turn int) (faultFigures, error) {
	runner := scenario.Runner{Lab: l, Steady: steady(ctx, l, what, turn, s.options.n), Settle: settle, Repair: l.Rebuild}
	if slices.Contains(heavy, what) {
		runner.Settle *= 3
	}
	result, err := runner.Run(ctx, s.options.fault(what))
	return faultSample(what, result, err), err
}

// errFinding marks what an agent did wrong after its gap was measured. It ends the turn, but is no failure of the bench.
var errFinding = errors.New("measured, but then")

func (o options) fault(what string) scenario.Scenario {
	switch what {
	case whatSwitchover:
		return scenario.Switchover("")
	case whatSwitchoverLoad:
		return scenario.WithLoad(scenario.Switchover(""), o.loadMB)
	case whatKillPG:
		return scenario.KillPostgres()
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

// slowestMonitor is the longest interval of a monitor that any agent has, see lab.DefaultOps.
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
	for _, op := range c.Ops {
		if op.Name == "monitor" && op.Role == "Promoted" {
			return op.Interval
		}
	}
	return slowestMonitor
}

// untilPhase is the time, not below the least, until a monitor that ran first some time ago is at a phase of its interval.
func untilPhase(since, phase, interval time.Duration) time.Duration {
	now := (since + leastSteady) % interval
	return leastSteady + (phase-now+interval)%interval
}
