package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"pgsqlms/test/faults"
	"pgsqlms/test/lab"
)

type options struct {
	faults     []faults.Fault
	named      []string // those that were asked for by name; none for all
	agents     []string
	modes      []faults.Mode
	rounds     int
	seed       uint64
	monitor    time.Duration
	size       faults.Size
	variant    string
	runs       int
	length     time.Duration
	failpoints string
	json       string
	evidence   string
	suite      string
	name       string
	list       bool
}

// comparing says that PAF takes part: what it does wrong is a result, and no failure of the run.
func (o options) comparing() bool {
	for _, a := range o.agents {
		if a == lab.AgentPAF {
			return true
		}
	}
	return false
}

// random says that chance draws the faults.
func (o options) random() bool { return o.runs != 0 || o.length != 0 }

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	var agents, mode string
	flags := flag.NewFlagSet("faults", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: faults [flags] [F1 F2 ...]     scenarios with these names, or all of them")
		flags.PrintDefaults()
	}
	flags.IntVar(&o.rounds, "n", 1, "how often each scenario is played in each mode")
	flags.StringVar(&mode, "mode", "both", "sync (ANY 1), async or both")
	flags.Uint64Var(&o.seed, "seed", 0, "what chance begins with, and which variant of a scenario is the first; 0: the clock's")
	flags.StringVar(&agents, "agents", "bin/pgsqlms", "comma-separated: files, or "+lab.AgentPAF+" for PAF's from the Debian package")
	flags.DurationVar(&o.monitor, "monitor", time.Second, "interval of the promoted role's monitor")
	flags.IntVar(&o.size.Switchovers, "switchovers", 20, "how many F18 makes")
	flags.IntVar(&o.size.ReplayMB, "replay", 300, "MB of WAL that F14 leaves to be replayed")
	flags.StringVar(&o.variant, "variant", "", "only those variants of the scenarios whose name contains this")
	flags.IntVar(&o.runs, "runs", 0, "the random mode: so many runs, each with a seed of its own, the first with -seed")
	flags.DurationVar(&o.length, "for", 0, "the random mode: begin no further run after this time")
	flags.StringVar(&o.failpoints, "failpoints", "bin/pgsqlms-failpoint", "the agent built with -tags failpoint, for "+faults.StepsID)
	flags.StringVar(&o.json, "json", "", "write the result to this file")
	flags.StringVar(&o.evidence, "evidence", "", "keep what failed below this directory (default: a new one in the temporary directory)")
	flags.StringVar(&o.suite, "suite", lab.DefaultSuite, "the Debian release that the nodes run")
	flags.StringVar(&o.name, "name", "faults", "the lab's name")
	flags.BoolVar(&o.list, "list", false, "tell what scenarios there are")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if o.seed == 0 {
		o.seed = uint64(time.Now().UnixNano()) % 1_000_000
	}
	if o.rounds < 1 || o.monitor < time.Second || o.size.Switchovers < 1 || o.size.ReplayMB < 1 {
		return o, fmt.Errorf("-n, -switchovers and -replay have to be 1 at least, -monitor 1s")
	}
	if o.random() && (flags.NArg() > 0 || o.runs < 0 || o.length < 0) {
		return o, fmt.Errorf("-runs %d, -for %s: the random mode takes no names of scenarios, and no negative bounds", o.runs, o.length)
	}
	if err := lab.CheckName(o.name); err != nil {
		return o, err
	}
	var err error
	o.named = flags.Args()
	if o.faults, err = faults.Choose(o.named); err != nil {
		return o, err
	}
	if o.modes, err = modesOf(mode); err != nil {
		return o, err
	}
	o.agents, err = agentsOf(agents)
	return o, err
}

// complete settles what is played: F19 as far as it can be, the variants, and that there is anything at all.
func (o *options) complete(ctx context.Context, out io.Writer) error {
	if o.random() {
		return nil
	}
	err := o.withFailpoints(ctx, out)
	if err != nil {
		return err
	}
	if o.faults, err = faults.OnlyVariants(o.faults, o.variant); err != nil {
		return err
	}
	for _, agent := range o.agents {
		if faults.Plays(o.faultsOf(agent), o.modes, o.rounds) > 0 {
			return nil
		}
	}
	return fmt.Errorf("there is nothing to play of %s in mode %v with %s", strings.Join(faults.IDs(o.faults), " "), o.modes, strings.Join(o.agents, ", "))
}

// withFailpoints completes F19 with what the agent's own binary says. Where that cannot be had it is left out, and says why; who
// has asked for it by name is not to believe that it was played.
func (o *options) withFailpoints(ctx context.Context, out io.Writer) error {
	if !slices.ContainsFunc(o.faults, isSteps) {
		return nil
	}
	if o.comparing() {
		fmt.Fprintf(out, "%s is left out for %s, which has no failpoints\n", faults.StepsID, lab.AgentPAF)
	}
	if !slices.ContainsFunc(o.agents, func(agent string) bool { return agent != lab.AgentPAF }) {
		return nil
	}
	names, err := faults.Failpoints(ctx, o.failpoints)
	switch {
	case err == nil:
		o.faults = faults.WithFailpoints(o.faults, o.failpoints, names)
	case slices.ContainsFunc(o.named, func(name string) bool { return strings.EqualFold(name, faults.StepsID) }):
		return fmt.Errorf("%s cannot be played: %w", faults.StepsID, err)
	default:
		fmt.Fprintf(out, "%s is left out: %v\n", faults.StepsID, err)
		o.faults = slices.DeleteFunc(o.faults, isSteps)
	}
	return nil
}

func isSteps(f faults.Fault) bool { return f.ID == faults.StepsID }

// faultsOf are those that are played with an agent: this project's with failpoints is not put in another one's place.
func (o options) faultsOf(agent string) []faults.Fault {
	if agent != lab.AgentPAF {
		return o.faults
	}
	return slices.DeleteFunc(slices.Clone(o.faults), isSteps)
}

// until is when the random mode begins no further run; the zero time for never.
func (o options) until(now time.Time) time.Time {
	if o.length == 0 {
		return time.Time{}
	}
	return now.Add(o.length)
}

func modesOf(mode string) ([]faults.Mode, error) {
	switch mode {
	case "both":
		return []faults.Mode{faults.Sync, faults.Async}, nil
	case string(faults.Sync), string(faults.Async):
		return []faults.Mode{faults.Mode(mode)}, nil
	}
	return nil, fmt.Errorf("-mode %q: want sync, async or both", mode)
}

func agentsOf(list string) ([]string, error) {
	var agents []string
	for path := range strings.SplitSeq(list, ",") {
		agent, err := lab.FindAgent(path)
		if err != nil {
			return nil, err
		}
		agents = append(agents, agent)
	}
	return agents, nil
}
