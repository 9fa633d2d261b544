package lab

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// WaitReady waits until the cluster is ready: exactly one primary by SQL, which
// is the promoted one; every powered node streaming from it; the VIP on it; a
// positive promotion score on every powered node; and a DC with nothing to do.
// Without a deadline in ctx it waits Config.ReadyTimeout. Its error names what
// is missing.
func (l *Lab) WaitReady(ctx context.Context) error { return l.waitReady(ctx, false) }

// WaitWhole is WaitReady with all nodes powered: after a fencing it also waits
// for the node to be back.
func (l *Lab) WaitWhole(ctx context.Context) error { return l.waitReady(ctx, true) }

func (l *Lab) waitReady(ctx context.Context, whole bool) error {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, l.plan.Config.ReadyTimeout)
		defer cancel()
	}
	start := time.Now()
	for {
		if l.databasesReady(ctx) {
			s, err := l.Status(ctx)
			if err == nil && len(s.missing(whole)) == 0 {
				return nil
			}
		}
		if pause(ctx, 150*time.Millisecond) != nil {
			return l.notReady(time.Since(start), whole)
		}
	}
}

// databasesReady is the part of being ready that costs little to ask for: the
// cluster's tools would disturb what is being waited for, on a small machine.
func (l *Lab) databasesReady(ctx context.Context) bool {
	s, err := l.databaseStatus(ctx)
	if err != nil {
		return false
	}
	primaries, standbys, streaming := 0, 0, 0
	for _, n := range s.Nodes {
		switch {
		case !n.Powered:
		case n.SQL == "primary":
			primaries++
		case n.Streaming:
			streaming++
			standbys++
		default:
			standbys++
		}
	}
	return primaries == 1 && streaming == standbys
}

// notReady is the error of a wait that is over: it looks once more, in full.
func (l *Lab) notReady(after time.Duration, whole bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	var missing []string
	if s, err := l.Status(ctx); err != nil {
		missing = []string{err.Error()}
	} else {
		missing = s.missing(whole)
	}
	if len(missing) == 0 {
		missing = []string{"nothing any more: it became ready just after the time was over"}
	}
	return fmt.Errorf("the lab %s is not ready after %.1f s; missing:\n  %s\nlook at it with: lab status --name %s; logs below %s",
		l.plan.Config.Name, after.Seconds(), strings.Join(missing, "\n  "), l.plan.Config.Name, l.dir)
}

// Missing tells what keeps the cluster from being ready in the sense of
// WaitReady; nothing when it is.
func (s *Status) Missing() []string { return s.missing(false) }

func (s *Status) missing(whole bool) []string {
	var out []string
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	var primaries []string
	for _, name := range slices.Sorted(maps.Keys(s.Nodes)) {
		if s.Nodes[name].SQL == "primary" {
			primaries = append(primaries, name)
		}
	}
	if len(primaries) != 1 {
		say("exactly one primary by SQL, found: %s", orNone(primaries))
	}
	for _, name := range slices.Sorted(maps.Keys(s.Nodes)) {
		n := s.Nodes[name]
		if !n.Powered {
			if whole {
				say("%s: power", name)
			}
			continue
		}
		out = append(out, n.missing(name)...)
		if n.SQL == "primary" && !n.HasVIP {
			say("the VIP on the primary %s", name)
		}
	}
	if s.system == nil {
		s.system = pacemaker{}
	}
	return append(out, s.system.missing(s)...)
}

// missing is what the node's database lacks.
func (n NodeStatus) missing(name string) []string {
	switch {
	case n.SQL == "standby" && !n.Streaming:
		return []string{name + ": streaming from the primary"}
	case n.SQL != "primary" && n.SQL != "standby":
		return []string{fmt.Sprintf("%s: an answer from PostgreSQL: %q", name, n.SQL)}
	}
	return nil
}
