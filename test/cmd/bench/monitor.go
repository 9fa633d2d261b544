package main

import (
	"context"
	"fmt"
	"slices"

	"pgsqlms/test/lab"
)

// monitorCosts measures n healthy monitors of the primary and of one standby, inside of their nodes, each with the
// environment of the monitor that Pacemaker ran there last.
func monitorCosts(ctx context.Context, l *lab.Lab, n int) ([]monitorFigures, error) {
	status, err := l.Status(ctx)
	if err != nil {
		return nil, err
	}
	var all []monitorFigures
	for _, role := range []string{"primary", "standby"} {
		node := firstWith(status, role)
		if node == "" {
			return all, fmt.Errorf("no node is a %s", role)
		}
		environment, err := monitorEnvironment(ctx, l, node)
		if err != nil {
			return all, err
		}
		costs, err := measureMonitors(ctx, l, node, environment, n)
		if err != nil {
			return all, fmt.Errorf("monitor of the %s on %s: %w", role, node, err)
		}
		for _, c := range costs {
			all = append(all, monitorFigures{Role: role, CPU: c.CPU, Wall: c.Wall})
		}
	}
	return all, nil
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
