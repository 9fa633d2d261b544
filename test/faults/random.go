package faults

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// Plan is what chance has drawn for one run. It hangs on nothing but the seed.
type Plan struct {
	Seed    uint64
	Mode    Mode
	Load    Load
	Steady  time.Duration // writing before the first step
	Reboot  time.Duration // from a fencing to the node's power
	Fencing time.Duration // how long the fence device takes
	Steps   []Step
}

// Step is one injection. Nodes are named by the role that they have when it comes to it.
type Step struct {
	Kind   string
	At     time.Duration // after the begin of the first
	Length time.Duration // until it is taken back; 0 if there is nothing to take back
	Target Target
	Amount int // MB or percent, by the kind
}

// Target is a node by its role.
type Target int

// The targets.
const (
	ThePrimary Target = iota
	FirstStandby
	SecondStandby
	AllNodes
)

func (t Target) String() string {
	return [...]string{"the primary", "standby 1", "standby 2", "all nodes"}[t]
}

// draw says how steps of a kind are drawn.
type draw struct {
	kind    string
	weight  int
	targets []Target
	length  span // seconds; none: nothing is taken back
	amount  span
}

// span is drawn from, both ends included.
type span struct{ from, to int }

func (s span) draw(r *rand.Rand) int { return s.from + r.IntN(s.to-s.from+1) }

var (
	anyNode    = []Target{ThePrimary, ThePrimary, FirstStandby, SecondStandby} // the primary is the interesting one
	anyStandby = []Target{FirstStandby, SecondStandby}
	primary    = []Target{ThePrimary}
)

// The kinds of steps.
const (
	stepKillPostgres   = "kill-postgres"
	stepKillPostmaster = "kill-postmaster"
	stepKillBackend    = "kill-backend"
	stepStopPostmaster = "stop-postmaster"
	stepFreeze         = "freeze"
	stepPowerLoss      = "power-loss"
	stepBlackout       = "blackout"
	stepCut            = "cut"
	stepSilentCut      = "silent-cut"
	stepCutReplication = "cut-replication"
	stepLosePackets    = "lose-packets"
	stepFencingFails   = "fencing-fails"
	stepSwitchover     = "switchover"
	stepRestart        = "restart-by-hand"
	stepPauseReplay    = "pause-replay"
	stepWriteWAL       = "write-wal"
	stepNoCheckpoint   = "no-checkpoint"
	stepStandbyMode    = "standby-mode"
	stepStopCluster    = "stop-cluster"
	stepUseUpSlots     = "use-up-slots"
	stepKillAgent      = "kill-agent"
)

// draws are all kinds, with their weights.
var draws = []draw{
	{stepKillPostgres, 6, anyNode, span{}, span{}},
	{stepKillPostmaster, 6, anyNode, span{}, span{}},
	{stepKillBackend, 3, anyNode, span{}, span{}},
	{stepStopPostmaster, 4, anyNode, span{5, 60}, span{}},
	{stepFreeze, 5, anyNode, span{1, 40}, span{}},
	{stepPowerLoss, 10, anyNode, span{20, 60}, span{}},
	{stepBlackout, 3, []Target{AllNodes}, span{1, 15}, span{}},
	{stepCut, 5, anyNode, span{1, 40}, span{}},
	{stepSilentCut, 4, anyNode, span{1, 40}, span{}},
	{stepCutReplication, 6, anyStandby, span{1, 30}, span{}},
	{stepLosePackets, 2, anyNode, span{5, 30}, span{5, 30}},
	{stepFencingFails, 3, primary, span{5, 30}, span{}},
	{stepSwitchover, 8, anyStandby, span{10, 40}, span{}},
	{stepRestart, 4, anyStandby, span{}, span{}},
	{stepPauseReplay, 3, anyStandby, span{5, 30}, span{}},
	{stepWriteWAL, 4, primary, span{}, span{10, 200}},
	{stepNoCheckpoint, 2, anyNode, span{5, 40}, span{}},
	{stepStandbyMode, 3, anyNode, span{5, 30}, span{}},
	{stepStopCluster, 3, anyNode, span{5, 30}, span{}},
	{stepUseUpSlots, 2, primary, span{5, 30}, span{}},
	{stepKillAgent, 4, anyNode, span{3, 20}, span{}},
}

// Draw makes the plan of a seed.
func Draw(seed uint64) Plan {
	r := rand.New(rand.NewPCG(seed, 0x70677371))
	p := Plan{
		Seed: seed, Mode: pick(r, []Mode{Sync, Sync, Async}),
		Load:    pick(r, []Load{light, light, peak, {Writers: 2, Every: 2 * time.Millisecond, Payload: 500}}),
		Steady:  time.Duration(500+r.IntN(4500)) * time.Millisecond,
		Reboot:  pick(r, []time.Duration{time.Second, 3 * time.Second, 10 * time.Second}),
		Fencing: pick(r, []time.Duration{0, 0, 2 * time.Second, 8 * time.Second}),
	}
	at := time.Duration(0)
	for range pick(r, []int{1, 1, 2, 2, 3}) {
		s := drawStep(r)
		s.At = at
		p.Steps = append(p.Steps, s)
		// Soon, so that it falls into what the cluster does about the one before.
		at += time.Duration(r.IntN(pick(r, []int{500, 3000, 15000}))) * time.Millisecond
	}
	return p
}

func drawStep(r *rand.Rand) Step {
	total := 0
	for _, d := range draws {
		total += d.weight
	}
	n := r.IntN(total)
	i := slices.IndexFunc(draws, func(d draw) bool { n -= d.weight; return n < 0 })
	d := draws[i]
	s := Step{Kind: d.kind, Target: pick(r, d.targets), Amount: d.amount.draw(r)}
	s.Length = time.Duration(d.length.draw(r)) * time.Second
	return s
}

func pick[T any](r *rand.Rand, of []T) T { return of[r.IntN(len(of))] }

func (s Step) String() string {
	text := fmt.Sprintf("%.1f s: %s of %s", s.At.Seconds(), s.Kind, s.Target)
	if s.Amount > 0 {
		text += fmt.Sprintf(", %d", s.Amount)
	}
	if s.Length > 0 {
		text += fmt.Sprintf(", for %.0f s", s.Length.Seconds())
	}
	return text
}

func (p Plan) String() string {
	var steps []string
	for _, s := range p.Steps {
		steps = append(steps, s.String())
	}
	return fmt.Sprintf("%s; reboot %s, fencing %s, %d writers more; %s", p.Mode, p.Reboot, p.Fencing, p.Load.Writers, strings.Join(steps, "; "))
}

// length is how long all of the plan's steps take, and what they may keep the cluster from doing.
func (p Plan) length() time.Duration {
	var end time.Duration
	for _, s := range p.Steps {
		end = max(end, s.At+s.Length)
	}
	return end
}
