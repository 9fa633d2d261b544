package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"pgsqlms/test/lab"
)

// Where the agent is while the wrapper stands in its place.
const (
	realPath    = "/usr/lib/ocf/resource.d/heartbeat/.bench.real"
	wrapperPath = "/usr/lib/ocf/resource.d/heartbeat/.bench.wrapper"
	capturePath = "/run/pgsqlms-bench.environ"
)

// wrapper keeps the environment of a recurring monitor exactly as Pacemaker gave it, and then is the agent.
const wrapper = `#!/bin/sh
if [ "$1" = monitor ] && [ "${OCF_RESKEY_CRM_meta_interval:-0}" != 0 ]; then
	cat /proc/$$/environ >` + capturePath + `.part && mv ` + capturePath + `.part ` + capturePath + `
fi
exec ` + realPath + ` "$@"
`

// monitorEnvironment waits for the next recurring monitor on a node and gives its environment.
func monitorEnvironment(ctx context.Context, l *lab.Lab, node string) ([]string, error) {
	if err := wrap(ctx, l, node); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*slowestMonitor)
	defer cancel()
	text, waitErr := captured(ctx, l, node)
	if err := unwrap(context.WithoutCancel(ctx), l, node); err != nil {
		return nil, err
	}
	if waitErr != nil {
		return nil, waitErr
	}
	return strings.Split(strings.TrimSuffix(text, "\x00"), "\x00"), nil
}

// wrap replaces the agent's file in one step, since Pacemaker may run it at any moment.
func wrap(ctx context.Context, l *lab.Lab, node string) error {
	if err := l.WriteFile(node, wrapperPath, []byte(wrapper), 0o755, ""); err != nil {
		return err
	}
	_, err := l.Run(ctx, node, "sh", "-c", "set -e; rm -f "+capturePath+"; cp -p "+l.Agent()+" "+realPath+"; mv "+wrapperPath+" "+l.Agent())
	return err
}

// unwrap leaves the real agent's second name in place: the monitor that was captured still runs by it, and PAF looks for
// its own file while it starts.
func unwrap(ctx context.Context, l *lab.Lab, node string) error {
	_, err := l.Run(ctx, node, "sh", "-c", "cp -p "+realPath+" "+wrapperPath+" && mv "+wrapperPath+" "+l.Agent())
	return err
}

func captured(ctx context.Context, l *lab.Lab, node string) (string, error) {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		if text, err := l.ReadFile(node, capturePath); err == nil {
			return string(text), nil
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("no recurring monitor ran on %s: %w", node, ctx.Err())
		case <-tick.C:
		}
	}
}
