package faults

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

// whole waits until every node has power and streams. On the way it does what no agent may do: it rebuilds a node that
// has left the primary's history, once it has seen whether the cluster shows that.
func (p *Play) whole(ctx context.Context) (time.Duration, error) {
	const look = 3 * time.Second
	began, before := time.Now(), p.rebuilt // a scenario may have rebuilt a node itself
	slack := 30 * time.Second              // beyond the budget, to tell "late" from "never"
	suspects := map[string]bool{}
	for {
		short, cancel := context.WithTimeout(ctx, look)
		err := p.Lab.WaitWhole(short)
		cancel()
		took := time.Since(began) - (p.rebuilt - before)
		if err == nil {
			return took, nil
		}
		if ctx.Err() != nil {
			return took, ctx.Err()
		}
		if took > p.Allow.Whole+slack {
			return took, fmt.Errorf("not whole after %.0f s: %s", took.Seconds(), missingIn(err))
		}
		behind := p.behindNow(ctx)
		if err := p.startAgain(ctx, behind); err != nil {
			return took, err
		}
		seen := map[string]bool{}
		for node, said := range behind.diverged() {
			seen[node] = true
			if !suspects[node] { // it may be about to follow: look twice
				continue
			}
			if err := p.settleDiverged(ctx, node, said); err != nil {
				return took, err
			}
		}
		suspects = seen
	}
}

// missingIn leaves of WaitWhole's error what was missing.
func missingIn(err error) string {
	text := err.Error()
	if _, after, ok := strings.Cut(text, "missing:\n"); ok {
		text, _, _ = strings.Cut(after, "\nlook at it")
	}
	return strings.Join(strings.Fields(text), " ")
}

var divergesWord = regexp.MustCompile(`(?i)diverg`)

// behindNodes are the nodes in reach, with what their logs say since the beginning, and which of them neither stream nor
// are the primary.
type behindNodes struct {
	status *lab.Status
	logs   map[string]NodeLog
	behind []string
}

func (p *Play) behindNow(ctx context.Context) behindNodes {
	found := behindNodes{logs: map[string]NodeLog{}}
	var err error
	if found.status, err = p.Lab.Status(ctx); err != nil {
		return found
	}
	for _, node := range p.nodes() {
		n := found.status.Nodes[node]
		if !n.Powered || n.Frozen || n.Cut != "" {
			continue
		}
		found.logs[node] = p.logOf(node)
		if n.SQL != "primary" && !n.Streaming && !p.wasDiverged(node) {
			found.behind = append(found.behind, node)
		}
	}
	return found
}

// diverged gives those of which PostgreSQL or the agent has said that they cannot follow, or PostgreSQL that it cannot read
// its WAL past a half received segment.
func (b behindNodes) diverged() map[string]string {
	found := map[string]string{}
	for _, node := range b.behind {
		if said := saidDiverged(b.logs[node], b.status, node); said != "" {
			found[node] = said
		}
	}
	return found
}

// startAgain does what Pacemaker leaves to a person, where it has ended for good; see fencedLine. PostgreSQL may have gone
// on there, and Corosync may be on its way out.
func (p *Play) startAgain(ctx context.Context, behind behindNodes) error {
	for node, log := range behind.logs {
		n := len(log.StaysDown)
		if n <= p.started[node] {
			continue
		}
		began := time.Now()
		p.note("Pacemaker of %s stays down (%s): starting it", node, log.StaysDown[n-1])
		err := p.Lab.StopCluster(ctx, node)
		if err == nil {
			err = p.Lab.StartCluster(ctx, node)
		}
		if err != nil {
			return fmt.Errorf("starting Pacemaker on %s, where it had ended for good: %w", node, err)
		}
		p.started[node] = n
		p.rebuilt += time.Since(began)
	}
	return nil
}

// saidDiverged is the word for it. A divergence counts before a half received segment, whichever came last.
func saidDiverged(log NodeLog, status *lab.Status, node string) string {
	if lines := log.Diverged; len(lines) > 0 {
		return lines[len(lines)-1]
	}
	for _, failure := range status.Failures {
		if strings.Contains(failure, " on "+node+":") && divergesWord.MatchString(failure) {
			return failure
		}
	}
	if name := shownAttribute(status.Nodes[node].Attributes); name != "" {
		return name + "=" + status.Nodes[node].Attributes[name]
	}
	if lines := log.Halves; len(lines) > 0 {
		return lines[len(lines)-1]
	}
	return ""
}

// shownBy is how the cluster shows that a node cannot follow: by an attribute. Where PostgreSQL does not even start, on a
// half received segment, its failed start is all that there can be.
func (d Divergence) shownBy(status *lab.Status) string {
	name := shownAttribute(status.Nodes[d.Node].Attributes)
	if name == "" && d.half() {
		return failedStart(status.Failures, d.Node)
	}
	return name
}

// shownAttribute is the node attribute that says that the node has diverged.
func shownAttribute(attributes map[string]string) string {
	for name, value := range attributes {
		if divergesWord.MatchString(value) || divergesWord.MatchString(name) && value != "" && value != "0" {
			return name
		}
	}
	return ""
}

// failedStart is what crm_mon shows of a node where PostgreSQL did not come up.
func failedStart(failures []string, node string) string {
	for _, failure := range failures {
		if strings.Contains(failure, "_start_0 on "+node+":") {
			return failure
		}
	}
	return ""
}

func (p *Play) wasDiverged(node string) bool {
	return slices.ContainsFunc(p.diverged, func(d Divergence) bool { return d.Node == node })
}

// stopBound is how long a diverged instance may take to stop once the cluster shows what it is.
const stopBound = 15 * time.Second

// shownWait is how much longer than two monitors take it may be until a standby's trouble is shown: 15 s (settled, in the
// agent's standby.go), and what they wait for.
const shownWait = 25 * time.Second

// settleDiverged gives the cluster the time of two monitors, and shownWait, to show the divergence, and that of a stop to
// take the instance out of service; writes down what came of it, and rebuilds the node, as an administrator would.
func (p *Play) settleDiverged(ctx context.Context, node, said string) error {
	began := time.Now()
	d := Divergence{Node: node, Said: said}
	err := d.awaitShown(ctx, 2*p.monitor()+shownWait, p.Lab.Status)
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	if d.Shown == "" && p.follows(ctx, node) {
		p.note("%s follows after all (%s)", node, said)
		p.rebuilt += time.Since(began)
		return nil
	}
	if err := d.awaitStopped(ctx, p.Lab.Status); err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	p.diverged = append(p.diverged, d)
	p.note("%s %s (%s), score %q, shown by %q, serves: %t; rebuilding it", node, d.what(), said, d.Score, d.Shown, d.Serves)
	err = p.rebuild(ctx, node)
	p.rebuilt += time.Since(began)
	return err
}

// asker is how the state of the cluster is asked for.
type asker func(context.Context) (*lab.Status, error)

// awaitShown waits until the cluster shows the divergence.
func (d *Divergence) awaitShown(ctx context.Context, bound time.Duration, ask asker) error {
	return await(ctx, bound, 500*time.Millisecond, func(ctx context.Context) string {
		status, err := ask(ctx)
		if err != nil {
			return err.Error()
		}
		d.Score, d.Shown = status.Nodes[d.Node].Score, d.shownBy(status)
		if d.Shown == "" {
			return "nothing shows it"
		}
		return ""
	})
}

// awaitStopped waits until the instance does not answer any more, twice in a row: one that is being restarted is silent for
// a moment. On half a segment nothing runs.
func (d *Divergence) awaitStopped(ctx context.Context, ask asker) error {
	if d.half() {
		return nil
	}
	d.Serves = true
	silent := 0
	return await(ctx, stopBound, 500*time.Millisecond, func(ctx context.Context) string {
		status, err := ask(ctx)
		if err != nil {
			return err.Error()
		}
		if silent++; answers(status.Nodes[d.Node]) {
			silent = 0
		}
		d.Serves = silent < 2
		if d.Serves {
			return "it still answers"
		}
		return ""
	})
}

// answers says that an instance takes queries, be it as what it is or not.
func answers(n lab.NodeStatus) bool { return n.SQL == "primary" || n.SQL == "standby" }

// follows says that a node streams now, and goes on streaming: what PostgreSQL has said of it was passing. It refuses a
// standby once that is about to change to a timeline which it has not got the history of. Whether it holds the same as the
// primary is for I4 to see.
func (p *Play) follows(ctx context.Context, node string) bool {
	for n := range 3 {
		if n > 0 {
			select {
			case <-ctx.Done():
				return false
			case <-time.After(500 * time.Millisecond):
			}
		}
		status, err := p.Lab.Status(ctx)
		if err != nil || !status.Nodes[node].Streaming {
			return false
		}
	}
	return true
}

// allowRebuilding allows the start of a fresh copy, which to PostgreSQL is one of data that were not shut down.
func (a *Allowance) allowRebuilding(node string) {
	if a.Starts == nil {
		a.Starts = map[string]int{}
	}
	a.Starts[node]++
	if a.Recoveries != nil { // without, as many as starts
		a.Recoveries[node]++
	}
}

// rebuild makes a node a standby again, with a fresh copy.
func (p *Play) rebuild(ctx context.Context, node string) error {
	p.Allow.allowRebuilding(node)
	err := p.Lab.Rebuild(ctx, node)
	if err != nil && !errors.Is(err, context.Canceled) {
		return breach(I5, "%v", err)
	}
	return err
}
