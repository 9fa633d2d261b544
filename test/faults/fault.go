package faults

import (
	"context"
	"slices"
	"time"
)

// Mode is how commits are acknowledged.
type Mode string

// The two modes. Sync is ANY 1 of all nodes.
const (
	Sync  Mode = "sync"
	Async Mode = "async"
)

// Fault is one scenario: an injection, and what must come of it.
type Fault struct {
	ID    string // F1
	Title string // what is injected
	Must  string // what must happen
	// Modes in which it is played; both if nil.
	Modes []Mode
	// Variants are played in turn, one each round; the seed says with which one they begin. They need no names if there is only one.
	Variants []string
	Every    bool     // one round plays all of them
	SyncOnly []string // those of them that are left out with asynchronous replication
	// Prepare, if set, is done before the clients write and before anything counts.
	Prepare func(ctx context.Context, p *Play) error
	// Play injects and waits until the cluster has dealt with it. It returns a Breach for what the cluster did wrong, and
	// another error for what kept the scenario from being played.
	Play func(ctx context.Context, p *Play) error
	// Restore, if set, undoes what Prepare did to the cluster.
	Restore func(ctx context.Context, p *Play) error
	// Spoils says that the cluster is of no use afterwards.
	Spoils bool
	// Bound is how long it may take in all, everything included; 6 min if zero.
	Bound time.Duration
}

func (f Fault) modes() []Mode {
	if f.Modes != nil {
		return f.Modes
	}
	return []Mode{Sync, Async}
}

// in is the scenario as it is played in a mode, with the variants that are; not ok where nothing is left to play.
func (f Fault) in(mode Mode) (played Fault, ok bool) {
	if !slices.Contains(f.modes(), mode) {
		return f, false
	}
	if mode == Sync || len(f.SyncOnly) == 0 {
		return f, true
	}
	f.Variants = slices.DeleteFunc(slices.Clone(f.Variants), func(v string) bool { return slices.Contains(f.SyncOnly, v) })
	return f, len(f.Variants) > 0
}

// plays is how often it is played in so many rounds.
func (f Fault) plays(rounds int) int {
	if f.Every {
		return rounds * len(f.Variants)
	}
	return rounds
}

// variant is the one of a play. Few rounds with one seed or another come by all of them.
func (f Fault) variant(play int, seed uint64) string {
	if len(f.Variants) == 0 {
		return ""
	}
	n := uint64(len(f.Variants))
	first := seed % n
	if f.Every {
		first = 0 // all of them are played anyway
	}
	return f.Variants[(uint64(play)+first)%n]
}

func (f Fault) bound() time.Duration {
	if f.Bound == 0 {
		return 6 * time.Minute
	}
	return f.Bound
}

// Range is a number of times that something may happen.
type Range struct{ Min, Max int }

// Exactly is a range of one number.
func Exactly(n int) Range { return Range{Min: n, Max: n} }

// Allowance is what a scenario allows, and demands. What it does not allow is a breach: the zero value is that of a
// cluster to which nothing may happen.
type Allowance struct {
	AsyncLoss  bool           // with asynchronous replication, acknowledged rows may be lost
	Promotions Range          // each begins a timeline
	Starts     map[string]int // how often each node's PostgreSQL may be started at most
	Recoveries map[string]int // how often it may go through crash recovery at most; as Starts if nil
	Fencings   map[string]int // how often each node may be fenced at most
	Diverging  []string       // nodes that may have written what nobody has, and cannot follow any more
	Forked     []string       // nodes on a timeline of their own: their votes do not count, and they must not be promoted
	// FencedFirst is the node that must have been fenced before any other is promoted.
	FencedFirst string
	Serve       time.Duration // from the fault until writes are acknowledged again
	Whole       time.Duration // from the end of the injection until all nodes stream
	// Reasons are regular expressions. Each must be found in the reason of a failed action, written "operation on node:
	// reason".
	Reasons []string
	// Silent allows actions to fail without a reason, because the scenario kills them.
	Silent bool
	// TimedOut allows actions to be ended by Pacemaker, because what the scenario does to the node keeps every process
	// of it from going on.
	TimedOut bool
	// Mute are nodes to whose actions alone both happen.
	Mute []string
}

// each gives several nodes the same number.
func each(n int, nodes ...string) map[string]int {
	m := map[string]int{}
	for _, node := range nodes {
		m[node] = n
	}
	return m
}
