package faults

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// The agent's failpoints, in a binary that is built with the tag failpoint.
const (
	failpointFile = "/run/resource-agents/pgsqlms-failpoint" // "NAME WHAT [ACTION]": what is to happen, once, and in which action alone
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
	list := exec.CommandContext(ctx, binary, "failpoints")
	list.Env = append(os.Environ(), "OCF_RA_VERSION_MAJOR=1") // as for an action, which to a person's shell it is none
	out, err := list.Output()
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

// killing is one of F19's variants: what is killed at which failpoint, and in which of the agent's actions, if not in any.
type killing struct{ point, what, within string }

func (k killing) String() string {
	if k.within != "" {
		return k.point + " " + k.what + " in " + k.within
	}
	return k.point + " " + k.what
}

// line is what the agent reads.
func (k killing) line() string { return strings.TrimSpace(k.point+" "+k.what+" "+k.within) + "\n" }

// killingOf reads a variant's name.
func killingOf(variant string) (k killing) {
	k.point, k.what, _ = strings.Cut(variant, " ")
	k.what, k.within, _ = strings.Cut(k.what, " in ")
	return k
}

// demotion is the action that starts PostgreSQL as well, and thereDemoted are the failpoints of a start that it comes by.
const demotion = "demote"

var thereDemoted = []string{"start-signal", "start-launched"}

// stepsOf are the variants for each failpoint. The agent is not killed in a start or a stop: Pacemaker bans the node for the one
// and fences it for the other, whatever the agent does. A demotion that is killed at the same place is neither.
func stepsOf(names []string) []string {
	var variants []string
	for _, name := range names {
		inStart := strings.HasPrefix(name, "start-")
		if !inStart && !strings.HasPrefix(name, "stop-") {
			variants = append(variants, killing{point: name, what: killAgent}.String())
		}
		if slices.Contains(thereDemoted, name) {
			variants = append(variants, killing{name, killAgent, demotion}.String())
		}
		variants = append(variants, killing{point: name, what: killNode}.String())
	}
	return variants
}

// everyStep has a variant for each failpoint and what happens there. All of them are one round.
func everyStep(binary string, names []string) Fault {
	return Fault{
		ID: StepsID, Title: "the agent killed, and its node, at every step of promote, demote and notify", Must: "always converges",
		Variants: stepsOf(names), Every: true,
		// Nobody waits for a vote otherwise, so that the agent does not come by.
		SyncOnly: stepsOf(slices.DeleteFunc(slices.Clone(names), func(name string) bool { return name != pointHold })),
		Prepare:  func(_ context.Context, p *Play) error { return p.Lab.InstallAgent(binary) },
		Restore:  func(_ context.Context, p *Play) error { return p.Lab.InstallAgent(p.stand.config.Agent) },
		Play: func(ctx context.Context, p *Play) error {
			k := killingOf(p.Variant)
			nodes := p.nodes()
			p.Allow = Allowance{
				AsyncLoss: k.what == killNode, Promotions: Range{1, 5}, Starts: each(5, nodes...), Fencings: map[string]int{},
				Diverging: nil, Serve: 90 * time.Second, Whole: 2 * streamTime, Silent: true,
			}
			triggers := p.triggersOf(ctx, k)
			for i, trigger := range triggers {
				hit, err := p.step(ctx, k, trigger)
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
			return fmt.Errorf("nothing that was tried came by the failpoint %s", k)
		},
	}
}

// step sets the failpoint on every node, pulls the trigger, and says whether the agent came by on one of them.
func (p *Play) step(ctx context.Context, k killing, t trigger) (hit bool, err error) {
	if err := p.setFailpoint(ctx, k.line()); err != nil {
		return false, err
	}
	p.Allow.Promotions.Max++
	if err := p.inject(t.name+", with the failpoint "+k.String(), t.do); err != nil {
		return false, err
	}
	node, err := p.awaitHit(ctx, k.what, t.settle)
	if err != nil {
		return false, err
	}
	if node != "" && k.what == killNode {
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
	p.armed = text
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
func (p *Play) awaitHit(ctx context.Context, what string, bound time.Duration) (node string, err error) {
	err = await(ctx, bound, 50*time.Millisecond, func(context.Context) string {
		for _, n := range p.nodes() {
			if p.hit(n, what) {
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

func (p *Play) hit(node, what string) bool {
	if what == killNode {
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
