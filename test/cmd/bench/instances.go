package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"pgsqlms/test/lab"
	"pgsqlms/test/scenario"
)

// instancesFigure is what monitoring every second costs a node, with Pacemaker's and PostgreSQL's part in it.
type instancesFigure struct {
	Run       int     `json:"run"`
	Agent     string  `json:"agent"`
	Instances int     `json:"instances"`
	Without   float64 `json:"without"` // share of a core that the node used without monitors
	With      float64 `json:"with"`    // and with them
}

// watched is how long the node's use of the CPU is watched, calm what passes before it.
const (
	watched = 20 * time.Second
	calm    = 5 * time.Second
)

// instancesTurn measures with more and more instances on one node. What it finds hangs on no chance, so once is enough.
func (s *series) instancesTurn(ctx context.Context, turn int, a agent, _ []string) []error {
	if turn > 0 || a.Settings == equal {
		return nil
	}
	config := s.options.configOf(a)
	config.Nodes, config.NoResources, config.Sync = 1, true, false
	counts := slices.Sorted(slices.Values(s.options.instances))
	err := s.withLab(ctx, turn, a, config, func(c *cluster) error {
		if err := c.MakeInstances(ctx, slices.Max(counts)); err != nil {
			return err
		}
		for _, n := range counts {
			c.say(fmt.Sprintf("%d instances", n))
			figure := instancesFigure{Run: 1, Agent: a.Name, Instances: n}
			for _, one := range []struct {
				every time.Duration
				share *float64
			}{{0, &figure.Without}, {time.Second, &figure.With}} {
				if err := c.RunInstances(ctx, n, one.every); err != nil {
					return err
				}
				var err error
				if *one.share, err = coreShare(ctx, c.Lab); err != nil {
					return err
				}
			}
			s.report.Instances = append(s.report.Instances, figure)
			s.save()
		}
		return nil
	})
	if err != nil {
		return []error{err}
	}
	return nil
}

// coreShare watches the first node's use of the CPU for a while.
func coreShare(ctx context.Context, l *lab.Lab) (float64, error) {
	if err := scenario.Pause(ctx, calm); err != nil {
		return 0, err
	}
	node := l.Nodes()[0].Name
	before, err := l.CPUTime(node)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	if err := scenario.Pause(ctx, watched); err != nil {
		return 0, err
	}
	after, err := l.CPUTime(node)
	return (after - before).Seconds() / time.Since(began).Seconds(), err
}

// instancesText tells what monitors every second cost.
func (r *report) instancesText() string {
	if len(r.Instances) == 0 {
		return ""
	}
	percent := func(share float64) string { return fmt.Sprintf("%.2f %%", 100*share) }
	var cells [][]string
	for _, f := range r.Instances {
		cost := f.With - f.Without
		cells = append(cells, []string{f.Agent, fmt.Sprint(f.Instances), percent(f.Without), percent(f.With), percent(cost),
			percent(cost / float64(f.Instances))})
	}
	return "\nPrimaries on one node, each monitored every second: the node's use of the CPU, as a share of a core.\n\n" +
		scenario.Table([]string{"system", "instances", "without monitors", "with", "monitors", "per instance"}, cells)
}
