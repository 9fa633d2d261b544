package faults

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"pgsqlms/test/lab"
	"pgsqlms/test/scenario"
)

// Random makes a scenario of a plan.
func Random(plan Plan) Fault {
	return Fault{
		ID: "random", Title: "steps drawn by chance", Modes: []Mode{plan.Mode}, Bound: 12 * time.Minute,
		Prepare: func(_ context.Context, p *Play) error {
			p.Load, p.Steady = plan.Load, plan.Steady
			return nil
		},
		Play: func(ctx context.Context, p *Play) error {
			p.note("%s", plan)
			p.Allow = plan.allowance(p.nodes(), nil)
			if err := p.Lab.SetFencing(ctx, plan.fencing()); err != nil {
				return err
			}
			return p.carryOut(ctx, plan)
		},
	}
}

func (p Plan) fencing() lab.FencingMode { return lab.FencingMode{Delay: p.Fencing, Reboot: p.Reboot} }

// moment is something that is due.
type moment struct {
	at time.Duration
	do func() error
}

// carryOut does the steps when they are due, and takes each back when it has lasted. A step may find the cluster in a
// state in which it cannot be done any more: that is noted, and no failure.
func (p *Play) carryOut(ctx context.Context, plan Plan) error {
	began := time.Now()
	var due []moment
	var steps []done
	for _, s := range plan.Steps {
		due = append(due, moment{s.At, func() error {
			met := p.meets(ctx, s)
			steps = append(steps, met)
			p.Allow = plan.allowance(p.nodes(), steps)
			undo := p.begin(ctx, plan, s, met.Node)
			if undo != nil {
				due = append(due, moment{max(s.At+s.Length, time.Since(began)), undo})
			}
			return nil
		}})
	}
	for len(due) > 0 {
		slices.SortStableFunc(due, func(a, b moment) int { return int(a.at - b.at) })
		next := due[0]
		due = due[1:]
		if err := scenario.Pause(ctx, next.at-time.Since(began)); err != nil {
			return err
		}
		if err := next.do(); err != nil {
			p.note("not taken back: %v", err)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}

// begin does a step, and gives what takes it back.
func (p *Play) begin(ctx context.Context, plan Plan, s Step, node string) func() error {
	bounded, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	var undo func() error
	err := p.inject(s.Kind+" of "+node, func() (err error) {
		undo, err = p.primitive(bounded, ctx, plan, s, node)
		return err
	})
	if err != nil {
		p.note("it could not be done: %v", err)
	}
	if undo == nil {
		return nil
	}
	return func() error {
		p.note("%s of %s is over", s.Kind, node)
		return undo()
	}
}

// meets finds the nodes that a step is about to meet. Without a primary it is the one from before.
func (p *Play) meets(ctx context.Context, s Step) done {
	bounded, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	primary, err := p.Lab.Primary(bounded)
	if err != nil {
		primary = p.Primary
	}
	return done{s, target(p.nodes(), primary, s.Target), primary}
}

// target is the node that has a role.
func target(nodes []string, primary string, t Target) string {
	standbys := slices.DeleteFunc(slices.Clone(nodes), func(node string) bool { return node == primary })
	switch t {
	case FirstStandby:
		return standbys[0]
	case SecondStandby:
		return standbys[1]
	default:
		return primary
	}
}

func (p *Play) freeze(ctx context.Context, node string) error {
	p.frozen = true
	return p.Lab.Freeze(ctx, node)
}

// primitive is one step: do it with a bound, and say how it is taken back, within the whole run's.
func (p *Play) primitive(ctx, whole context.Context, plan Plan, s Step, node string) (undo func() error, err error) {
	l := p.Lab
	switch s.Kind {
	case stepKillPostgres:
		return nil, l.KillPostgres(ctx, node)
	case stepKillPostmaster:
		return nil, l.KillPostmaster(ctx, node)
	case stepKillBackend:
		return nil, l.SignalPostgres(ctx, node, "idle", unix.SIGKILL)
	case stepStopPostmaster:
		return p.signalled(ctx, whole, node, "")
	case stepNoCheckpoint:
		return p.signalled(ctx, whole, node, "checkpointer")
	case stepRestart:
		return nil, p.restart(ctx, node)
	case stepWriteWAL:
		return nil, p.writeWAL(ctx, s.Amount)
	case stepPauseReplay:
		return p.pauseReplay(ctx, whole, node)
	case stepUseUpSlots:
		return p.takeSlots(ctx, whole, node)
	case stepSwitchover:
		return func() error { return p.anywhere(whole, "crm_resource", "--clear", "--resource", lab.CloneResource) }, l.StartMove(ctx, node)
	case stepStandbyMode:
		return func() error {
				return p.anywhere(whole, "crm_attribute", "--node", node, "--name", "standby", "--delete")
			},
			p.anywhere(ctx, "crm_attribute", "--node", node, "--name", "standby", "--update", "on")
	case stepKillAgent:
		return p.keepKillingAgent(whole, node)
	default:
		return p.primitiveOfNode(ctx, whole, plan, s, node)
	}
}

// primitiveOfNode is one that concerns a node, or its network.
func (p *Play) primitiveOfNode(ctx, whole context.Context, plan Plan, s Step, node string) (undo func() error, err error) {
	l := p.Lab
	switch s.Kind {
	case stepFreeze:
		return func() error { return p.thaw(whole, node) }, p.freeze(ctx, node)
	case stepPowerLoss:
		return func() error { return l.Boot(whole, node) }, l.KillNode(ctx, node)
	case stepBlackout:
		return func() error { return p.eachOf(p.nodes(), func(n string) error { return l.Boot(whole, n) }) },
			p.eachOf(p.nodes(), func(n string) error { return l.KillNode(ctx, n) })
	case stepCut:
		return func() error { return l.Heal(whole, node) }, l.Cut(ctx, node)
	case stepSilentCut:
		return func() error { return l.Heal(whole, node) }, l.SilentCut(ctx, node)
	case stepCutReplication:
		primary := p.meets(ctx, s).Primary
		return func() error { return p.unblock(whole, primary) }, l.BlockPort(ctx, primary, node, pgPort)
	case stepLosePackets:
		return func() error { return p.unblock(whole, node) }, l.Lose(ctx, node, s.Amount)
	case stepFencingFails:
		failing := plan.fencing()
		failing.Fail = true
		return func() error { return l.SetFencing(whole, plan.fencing()) }, l.SetFencing(ctx, failing)
	case stepStopCluster:
		return func() error { return p.startCluster(whole, node) }, l.StopCluster(ctx, node)
	}
	return nil, fmt.Errorf("no such step: %s", s.Kind)
}

// signalled stops a process of PostgreSQL, and lets it go on. By then it may be another one, to which it does nothing.
func (p *Play) signalled(ctx, whole context.Context, node, match string) (undo func() error, err error) {
	return func() error {
		if err := p.Lab.SignalPostgres(whole, node, match, unix.SIGCONT); err != nil {
			p.note("%v", err)
		}
		return nil
	}, p.Lab.SignalPostgres(ctx, node, match, unix.SIGSTOP)
}

func (p *Play) pauseReplay(ctx, whole context.Context, node string) (undo func() error, err error) {
	resume := "select case when pg_is_in_recovery() then pg_wal_replay_resume() end"
	_, err = p.Lab.SQL(ctx, node, "select pg_wal_replay_pause()")
	return func() error {
		_, err := p.Lab.SQL(whole, node, resume)
		return err
	}, err
}

// thaw finds the node fenced, often.
func (p *Play) thaw(ctx context.Context, node string) error {
	power, err := p.Lab.Power(ctx)
	if err != nil || !power[node].Frozen {
		return err
	}
	return p.Lab.Thaw(ctx, node)
}

// unblock is not needed on a node that has lost its power meanwhile, and cannot be done on one that is frozen.
func (p *Play) unblock(ctx context.Context, node string) error {
	power, err := p.Lab.Power(ctx)
	if err != nil || !power[node].Powered {
		return err
	}
	return p.Lab.Unblock(ctx, node)
}

// startCluster starts what stepStopCluster has stopped, unless the node was powered anew.
func (p *Play) startCluster(ctx context.Context, node string) error {
	power, err := p.Lab.Power(ctx)
	if err != nil || !power[node].Powered {
		return err
	}
	running, err := p.Lab.Run(ctx, node, "ps", "ax", "-o", "args=")
	if err != nil || strings.Contains(running, "corosync -f") {
		return err
	}
	return p.Lab.StartCluster(ctx, node)
}

// anywhere runs a tool of the cluster's on the first node with quorum that can. What a node that is cut off is told is
// lost when it is fenced.
func (p *Play) anywhere(ctx context.Context, argv ...string) error {
	err := fmt.Errorf("no node can run %v", argv)
	for _, node := range p.nodes() {
		if err = p.withQuorum(ctx, node, argv); err == nil {
			return nil
		}
	}
	return err
}

func (p *Play) withQuorum(ctx context.Context, node string, argv []string) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	quorum, err := p.Lab.Run(ctx, node, "crm_node", "-q")
	if err != nil {
		return err
	}
	if strings.TrimSpace(quorum) != "1" {
		return fmt.Errorf("%s has no quorum", node)
	}
	_, err = p.Lab.Run(ctx, node, argv...)
	return err
}

// keepKillingAgent ends every action of the agent that is under way on a node, again and again. Pacemaker keeps a node
// on which a start has failed from starting again until a person has looked, as happens afterwards.
func (p *Play) keepKillingAgent(whole context.Context, node string) (undo func() error, err error) {
	ctx, stop := context.WithCancel(whole)
	done := make(chan int)
	random := rand.New(rand.NewPCG(p.Rand.Uint64(), 0)) // p's own is for one goroutine
	go func() {
		killed := 0
		for scenario.Pause(ctx, time.Duration(10+random.IntN(200))*time.Millisecond) == nil {
			if n, err := p.Lab.KillAgent(ctx, node); err == nil {
				killed += n
			}
		}
		done <- killed
	}()
	return func() error {
		stop()
		p.note("%d actions of the agent on %s were killed", <-done, node)
		return p.anywhere(whole, "crm_resource", "--cleanup", "--resource", lab.Resource, "--node", node)
	}, nil
}
