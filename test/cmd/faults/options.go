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
	flags.DurationVar(&o.monitor, "monitor", 5*time.Second, "interval of the promoted role's monitor")
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
	var err error
	if o.faults, err = faults.Choose(flags.Args()); err != nil {
		return o, err
	}
	if o.modes, err = modesOf(mode); err != nil {
		return o, err
	}
	o.agents, err = agentsOf(agents)
	return o, err
}

// withFailpoints completes F19 with what the agent's own binary says, or leaves it out and says why.
func (o *options) withFailpoints(ctx context.Context, out io.Writer) {
	if !slices.ContainsFunc(o.faults, func(f faults.Fault) bool { return f.ID == faults.StepsID }) {
		return
	}
	names, err := faults.Failpoints(ctx, o.failpoints)
	if err != nil {
		fmt.Fprintf(out, "%s is left out: %v\n", faults.StepsID, err)
		o.faults = slices.DeleteFunc(o.faults, func(f faults.Fault) bool { return f.ID == faults.StepsID })
		return
	}
	o.faults = faults.WithFailpoints(o.faults, o.failpoints, names)
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
