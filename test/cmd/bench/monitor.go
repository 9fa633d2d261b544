package main

import (
	"context"
	"fmt"
	"slices"

	"pgsqlms/test/lab"
)

// monitored is a role, and the exit code of its healthy monitor.
type monitored struct {
	role string
	exit int
}

var monitoredRoles = []monitored{{"primary", 8}, {"standby", 0}}

// monitorCosts measures n healthy monitors of the primary and of one standby, inside of their nodes, each with the
// environment of the monitor that Pacemaker ran there last.
func monitorCosts(ctx context.Context, l *lab.Lab, n int) ([]monitorFigures, error) {
	status, err := l.Status(ctx)
	if err != nil {
		return nil, err
	}
	var all []monitorFigures
	for _, m := range monitoredRoles {
		node := firstWith(status, m.role)
		if node == "" {
			return all, fmt.Errorf("no node is a %s", m.role)
		}
		figures, err := monitorCost(ctx, l, node, m, n)
		if err != nil {
			return all, fmt.Errorf("monitor of the %s on %s: %w", m.role, node, err)
		}
		all = append(all, figures...)
	}
	return all, nil
}

func monitorCost(ctx context.Context, l *lab.Lab, node string, m monitored, n int) ([]monitorFigures, error) {
	environment, err := monitorEnvironment(ctx, l, node)
	if err != nil {
		return nil, err
	}
	samples, err := l.Measure(ctx, node, n, false, environment, l.Agent(), "monitor")
	if err != nil {
		return nil, err
	}
	counted, err := l.Measure(ctx, node, 1, true, environment, l.Agent(), "monitor")
	if err != nil {
		return nil, err
	}
	var figures []monitorFigures
	for _, s := range samples {
		if s.Exit != m.exit {
			return nil, fmt.Errorf("exit code %d, want %d", s.Exit, m.exit)
		}
		figures = append(figures, monitorFigures{Role: m.role, CPU: s.CPU.Seconds(), Wall: s.Wall.Seconds(),
			PeakMB: float64(counted[0].MaxRSS) / 1024, Forks: counted[0].Forks, Programs: len(counted[0].Programs) - 1})
	}
	return figures, nil
}

func firstWith(status *lab.Status, role string) string {
	var names []string
	for name, node := range status.Nodes {
		if node.SQL == role {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return slices.Min(names)
}
