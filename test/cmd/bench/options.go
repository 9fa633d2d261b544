package main

import (
	"flag"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"pgsqlms/test/lab"
)

// What can be measured, in the order in which a turn does it: the gentle things first.
const (
	whatMonitor    = "monitor"
	whatSwitchover = "switchover"
	whatKillPG     = "kill-pg"
	whatKillNode   = "kill-node"
)

var everything = []string{whatMonitor, whatSwitchover, whatKillPG, whatKillNode}

// agent is one of those compared.
type agent struct {
	Name string `json:"name"`
	Path string `json:"path"` // as lab.Config.Agent takes it
}

type options struct {
	what     []string
	n        int
	monitors int
	agents   []agent
	json     string
	logs     string
	suite    string
	name     string
	sync     bool
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	var what, agents string
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&what, "what", "all", "comma-separated, of "+strings.Join(everything, ", ")+"; or all")
	flags.IntVar(&o.n, "n", 5, "turns for each agent: so many of each fault")
	flags.IntVar(&o.monitors, "monitors", 10, "monitors in each turn, for each role")
	flags.StringVar(&agents, "agents", "bin/pgsqlms,"+lab.AgentPAF, "comma-separated: files, or "+lab.AgentPAF+" for PAF's from the Debian package")
	flags.StringVar(&o.json, "json", "", "write all figures to this file")
	flags.StringVar(&o.logs, "logs", "", "keep the nodes' logs of turns that failed below this directory")
	flags.StringVar(&o.suite, "suite", lab.DefaultSuite, "the Debian release that the nodes run")
	flags.StringVar(&o.name, "name", "bench", "the lab's name")
	flags.BoolVar(&o.sync, "sync", true, "synchronous replication, ANY 1")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if o.n < 1 || o.monitors < 1 {
		return o, fmt.Errorf("-n %d, -monitors %d: want at least 1", o.n, o.monitors)
	}
	var err error
	if o.what, err = chosen(what); err != nil {
		return o, err
	}
	o.agents, err = agentsOf(agents)
	return o, err
}

// chosen gives what is to be measured, in the order of everything.
func chosen(list string) ([]string, error) {
	if list == "all" {
		return everything, nil
	}
	names := strings.Split(list, ",")
	for _, name := range names {
		if !slices.Contains(everything, name) {
			return nil, fmt.Errorf("-what %q: want some of %s, or all", name, strings.Join(everything, ", "))
		}
	}
	var what []string
	for _, name := range everything {
		if slices.Contains(names, name) {
			what = append(what, name)
		}
	}
	return what, nil
}

func agentsOf(list string) ([]agent, error) {
	var agents []agent
	for _, path := range strings.Split(list, ",") {
		found, err := lab.FindAgent(path)
		if err != nil {
			return nil, err
		}
		a := agent{Name: filepath.Base(path), Path: found}
		if slices.ContainsFunc(agents, func(b agent) bool { return b.Name == a.Name }) {
			return nil, fmt.Errorf("-agents: two are called %q", a.Name)
		}
		agents = append(agents, a)
	}
	return agents, nil
}
