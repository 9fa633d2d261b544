package scenario

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"pgsqlms/test/lab"
)

const postgresLog = "/var/log/postgresql/postgresql.log"

// divergence is what PostgreSQL of a standby says when it has WAL that is not the primary's.
var divergence = regexp.MustCompile(`forked off current database system timeline|is not a child of this server's history`)

// whole waits until every node has power, all stream and the cluster has nothing more to do. On the way it does what the
// system's documentation asks of a person; with Runner.Repair it also mends what no agent may: a node that died with WAL
// that nobody had received.
func (r Runner) whole(ctx context.Context, play *Play, result *Result) error {
	const look = 3 * time.Second
	ctx, cancel := context.WithTimeout(ctx, r.Settle)
	defer cancel()
	for {
		mendErr := r.Lab.Mend(ctx, play.Primary)
		short, cancel := context.WithTimeout(ctx, look)
		err := r.Lab.WaitWhole(short)
		cancel()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return errors.Join(fmt.Errorf("not whole within %s: %w", r.Settle, err), mendErr)
		}
		if r.Repair == nil || r.Lab.Rejoins() {
			continue
		}
		node := diverged(ctx, r.Lab, play.fault)
		if node == "" || slices.Contains(result.Repaired, node) {
			continue
		}
		r.Progress(node + " died with WAL that nobody had received, and cannot follow: repairing it, as an administrator would")
		result.Repaired = append(result.Repaired, node)
		if err := r.Repair(ctx, node); err != nil {
			return err
		}
	}
}

// diverged gives a node that is no primary, does not stream, and whose PostgreSQL has said since the fault that it cannot.
func diverged(ctx context.Context, l *lab.Lab, since time.Time) string {
	status, err := l.Status(ctx)
	if err != nil {
		return ""
	}
	for _, node := range l.Nodes() {
		if status.Nodes[node.Name].SQL == "primary" {
			continue
		}
		if refusedStart(status.Failures, node.Name) {
			return node.Name
		}
		text, err := l.ReadFile(node.Name, postgresLog)
		if err == nil && saidSince(string(text), divergence, since) {
			return node.Name
		}
	}
	return ""
}

// refusedStart says whether the agent would not start a node's instance because it has diverged. It is stopped then, and
// PostgreSQL may not have had the time to say so itself.
func refusedStart(failures []string, node string) bool {
	return slices.ContainsFunc(failures, func(f string) bool {
		return strings.Contains(f, "_start_0 on "+node+":") && strings.Contains(f, "diverged: left timeline")
	})
}

// saidSince looks for a message in the lines of PostgreSQL's log that are not older than an instant.
func saidSince(log string, message *regexp.Regexp, since time.Time) bool {
	for line := range strings.Lines(log) {
		if !message.MatchString(line) {
			continue
		}
		if at, ok := DatabaseTime(line); ok && !at.Before(since.Truncate(time.Millisecond)) {
			return true
		}
	}
	return false
}
