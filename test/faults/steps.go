package faults

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"strings"
	"time"
)

// The agent's failpoints, in a binary that is built with the tag failpoint.
const (
	failpointFile = "/run/resource-agents/pgsqlms-failpoint" // "NAME ACTION": what is to happen, once
	failpointHit  = failpointFile + ".hit"                   // NAME: it stands there and waits for its node to be killed
	failpointSet  = failpointFile + ".set"                   // the runner's own: this node has not lost its power since
)

// What happens at a failpoint.
const (
	killAgent = "kill"
	killNode  = "node"
)

// Failpoints asks an agent's binary for the names of its failpoints.
func Failpoints(ctx context.Context, binary string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, binary, "failpoints").Output()
	if err != nil {
		return nil, fmt.Errorf("failpoints of %s: %w; build it with -tags failpoint", binary, err)
	}
	names := strings.Fields(string(out))
	if len(names) == 0 {
		return nil, fmt.Errorf("%s has no failpoints", binary)
	}
	return names, nil
}

// WithFailpoints makes F19 of the failpoints of a binary: the agent is killed, and its node is, at every one of them.
func WithFailpoints(faults []Fault, binary string, names []string) []Fault {
	var out []Fault
	for _, f := range faults {
		if f.ID == StepsID {
			f = everyStep(binary, names)
		}
		out = append(out, f)
	}
	return out
}

// StepsID is the scenario that needs an agent with failpoints.
const StepsID = "F19"

// everyStep has a variant for each failpoint and action. All of them are one round. The agent is not killed in a start or a
// stop: Pacemaker bans the node for the one and fences it for the other, whatever the agent does.
func everyStep(binary string, names []string) Fault {
	var variants []string
	for _, name := range names {
		if !strings.HasPrefix(name, "start-") && !strings.HasPrefix(name, "stop-") {
			variants = append(variants, name+" "+killAgent)
		}
		variants = append(variants, name+" "+killNode)
	}
	return Fault{
		ID: StepsID, Title: "the agent killed, and its node, at every step of promote, demote and notify", Must: "always converges",
		Variants: variants, Every: true,
		Prepare: func(_ context.Context, p *Play) error { return p.Lab.InstallAgent(binary) },
		Restore: func(_ context.Context, p *Play) error { return p.Lab.InstallAgent(p.stand.config.Agent) },
		Play: func(ctx context.Context, p *Play) error {
			name, action, _ := strings.Cut(p.Variant, " ")
			nodes := p.nodes()
			p.Allow = Allowance{
				AsyncLoss: action == killNode, Promotions: Range{1, 5}, Starts: each(5, nodes...), Fencings: map[string]int{},
				Diverging: nil, Serve: 90 * time.Second, Whole: 2 * streamTime, Silent: true,
			}
			if p.Mode == Async && name == pointHold {
				p.Allow.Promotions.Min = 0
				p.note("with asynchronous replication nobody waits for a vote: the agent does not come by %s", name)
				return nil
			}
			triggers := p.triggersOf(ctx, name)
			for i, trigger := range triggers {
				hit, err := p.step(ctx, name, action, trigger)
				if err != nil {
					return err
				}
				if hit {
					return nil
				}
				if i == len(triggers)-1 {
					break // and what the last one did to the cluster is not the point
				}
				if err := p.ready(ctx); err != nil {
					return err
				}
				if err := p.look(ctx); err != nil {
					return err
				}
			}
			return fmt.Errorf("nothing that was tried came by the failpoint %s", name)
		},
	}
}

// step sets the failpoint on every node, pulls the trigger, and says whether the agent came by on one of them.
func (p *Play) step(ctx context.Context, name, action string, t trigger) (hit bool, err error) {
	if err := p.setFailpoint(ctx, name+" "+action+"\n"); err != nil {
		return false, err
	}
	p.Allow.Promotions.Max++
	if err := p.inject(t.name+", with the failpoint "+name+" "+action, t.do); err != nil {
		return false, err
	}
	node, err := p.awaitHit(ctx, action, t.settle)
	if err != nil {
		return false, err
	}
	if node != "" && action == killNode {
		p.Allow.Fencings[node]++
		p.Allow.Diverging = append(p.Allow.Diverging, node)
		if err := p.powerLoss(ctx, node); err != nil {
			return true, err
		}
	}
	if err := p.clearFailpoint(ctx); err != nil {
		return node != "", err
	}
	if t.after == nil {
		return node != "", nil
	}
	// While the rule stands, Pacemaker tries again; a person takes it back when the cluster has become quiet.
	if err := p.awaitQuiet(ctx, 60*time.Second); err != nil {
		return node != "", err
	}
	return node != "", t.after()
}

// setFailpoint writes the file on all nodes with power.
func (p *Play) setFailpoint(ctx context.Context, text string) error {
	power, err := p.Lab.Power(ctx)
	if err != nil {
		return err
	}
	for _, node := range p.nodes() {
		if power[node].Powered {
			for _, file := range []string{failpointSet, failpointFile} {
				if err := p.Lab.WriteFile(node, file, []byte(text), 0o600, ""); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// clearFailpoint removes the file from the nodes that nobody came by on. A node without power has lost it.
func (p *Play) clearFailpoint(ctx context.Context) error {
	power, err := p.Lab.Power(ctx)
	if err != nil {
		return err
	}
	for _, node := range p.nodes() {
		if !power[node].Powered {
			continue
		}
		if _, err := p.Lab.Run(ctx, node, "rm", "-f", failpointFile, failpointHit, failpointSet); err != nil && ctx.Err() == nil {
			p.note("%v", err) // it may just be losing its power
		}
	}
	return ctx.Err()
}

// awaitHit waits until the file is gone from a node, or, where the node is to be killed, until the agent says that it
// waits for that.
func (p *Play) awaitHit(ctx context.Context, action string, bound time.Duration) (node string, err error) {
	err = await(ctx, bound, 50*time.Millisecond, func(context.Context) string {
		for _, n := range p.nodes() {
			if p.hit(n, action) {
				node = n
				return ""
			}
		}
		return "nobody came by"
	})
	if err != nil && ctx.Err() == nil {
		return "", nil
	}
	if node != "" {
		p.note("the agent on %s came by", node)
	}
	return node, err
}

func (p *Play) hit(node, action string) bool {
	if action == killNode {
		_, err := p.Lab.ReadFile(node, failpointHit)
		return err == nil
	}
	if _, err := p.Lab.ReadFile(node, failpointSet); err != nil {
		return false
	}
	_, err := p.Lab.ReadFile(node, failpointFile)
	return errors.Is(err, fs.ErrNotExist)
}

// awaitQuiet waits until Pacemaker has nothing to do.
func (p *Play) awaitQuiet(ctx context.Context, bound time.Duration) error {
	err := await(ctx, bound, 500*time.Millisecond, func(ctx context.Context) string {
		status, err := p.Lab.Status(ctx)
		if err != nil {
			return err.Error()
		}
		if status.DCState != "S_IDLE" {
			return fmt.Sprintf("the coordinator %q is in %q", status.DC, status.DCState)
		}
		return ""
	})
	if err != nil && ctx.Err() == nil {
		return breach(I5, "Pacemaker does not come to rest: %v", err)
	}
	return err
}
