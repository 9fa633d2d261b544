package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
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
	for turn := range s.options.n {
		for _, a := range s.options.agents {
			if err := s.turn(ctx, turn, a); err != nil {
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
	return errors.Join(failures...)
}

// turn brings a cluster up with one agent, measures everything once, and takes it down.
func (s *series) turn(ctx context.Context, turn int, a agent) error {
	say := func(text string) { s.progress(fmt.Sprintf("turn %d of %d, %s: %s", turn+1, s.options.n, a.Name, text)) }
	config := lab.Config{Name: s.options.name, Suite: s.options.suite, Agent: a.Path, Sync: s.options.sync, ExactToken: true}
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
	s.report.Token = l.Config().Token.Seconds()
	if s.report.Corosync, err = corosyncOf(ctx, l); err != nil {
		return err
	}
	for _, what := range s.options.what {
		if err := s.measure(ctx, l, what, turn, a, say); err != nil {
			return errors.Join(err, s.keepLogs(l, turn, a))
		}
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
	runner := scenario.Runner{Lab: l, Steady: steady(ctx, l, what, turn, s.options.n), Settle: settle, Rebuild: true}
	result, err := runner.Run(ctx, fault(what))
	sample := faultSample(what, result, err)
	sample.Agent, sample.Turn = a.Name, turn+1
	s.report.Faults = append(s.report.Faults, sample)
	say(fmt.Sprintf("%s: write gap %s", what, scenario.Seconds(result.Gap.Length())))
	if err != nil && result.Measured() {
		return fmt.Errorf("%w: %w", errFinding, err)
	}
	return err
}

// errFinding marks what an agent did wrong after its gap was measured. It ends the turn, but is no failure of the bench.
var errFinding = errors.New("measured, but then")

func fault(what string) scenario.Scenario {
	switch what {
	case whatSwitchover:
		return scenario.Switchover("")
	case whatKillPG:
		return scenario.KillPostgres()
	default:
		return scenario.KillNode()
	}
}

// settle bounds the wait for all nodes to stream: an agent may never bring a lost node back, and the gap is known by then.
const settle = time.Minute

// monitorInterval is the promoted role's, see lab.DefaultOps.
const monitorInterval = 15 * time.Second

// leastSteady is how long there is writing before any fault.
const leastSteady = 2 * time.Second

// steady is the writing before the fault. What a crash of PostgreSQL costs hangs on how far away the next monitor is:
// the turns spread over its interval, in the same way for every agent.
func steady(ctx context.Context, l *lab.Lab, what string, turn, turns int) time.Duration {
	if what != whatKillPG {
		return leastSteady
	}
	primary, err := l.Primary(ctx)
	if err != nil {
		return leastSteady // the scenario will say so
	}
	began, ok := scenario.MonitoredSince(l, primary)
	if !ok {
		return leastSteady
	}
	return untilPhase(time.Since(began), monitorInterval*time.Duration(2*turn+1)/time.Duration(2*turns))
}

// untilPhase is the time, not below the least, until a monitor that ran first some time ago is at a phase of its interval.
func untilPhase(since, phase time.Duration) time.Duration {
	now := (since + leastSteady) % monitorInterval
	return leastSteady + (phase-now+monitorInterval)%monitorInterval
}
