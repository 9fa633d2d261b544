package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"pgsqlms/test/lab"
	"pgsqlms/test/scenario"
)

// What can be measured, in the order in which a turn does it: the gentle things first.
const (
	whatMonitor         = "monitor"
	whatSwitchover      = "switchover"
	whatKillPG          = "kill-pg"
	whatKillNode        = "kill-node"
	whatSwitchoverLoad  = "switchover-load"
	whatKillNodeClean   = "kill-node-clean"
	whatKillNodeDirty   = "kill-node-dirty"
	whatKillNodeBacklog = "kill-node-backlog"
	whatInstances       = "instances"
	whatGrowth          = "growth"
)

var (
	// light are the things that one turn does on one cluster, heavy those for which it brings up another one, with memory
	// for what they make dirty.
	light = []string{whatMonitor, whatSwitchover, whatKillPG, whatKillNode}
	heavy = []string{whatSwitchoverLoad, whatKillNodeClean, whatKillNodeDirty, whatKillNodeBacklog}
	// apart are what needs clusters of its own kind.
	apart      = []string{whatInstances, whatGrowth}
	everything = slices.Concat(light, heavy, apart)
)

// groups are the short names for several things.
var groups = map[string][]string{"light": light, "heavy": heavy, "all": everything}

// Settings that an agent is measured with.
const (
	recommended = "recommended" // what its own documentation recommends for a quick failover
	equal       = "equal"       // the same time until a failure is noticed, for all
)

// agent is one of those compared.
type agent struct {
	Name     string `json:"name"`
	Path     string `json:"path"` // as lab.Config.Agent takes it
	Settings string `json:"settings"`
}

// floorName is what the figures of the work by hand are called.
const floorName = "floor"

// can says whether there is such a thing with an agent.
func (a agent) can(what string) bool {
	switch a.Path {
	case lab.AgentHand:
		return what == whatSwitchover || what == whatSwitchoverLoad
	case lab.AgentPatroni:
		return what != whatMonitor && what != whatInstances
	case lab.AgentShell:
		return what != whatInstances
	default:
		return true
	}
}

type options struct {
	from      []string // reports of earlier runs, to be joined; nothing is measured then
	what      []string
	n         int
	turns     []int // those of the n that are played
	monitors  int
	agents    []agent
	sooner    time.Duration // after this no further turn begins
	detection time.Duration // of equal settings
	dirtyMB   int
	loadMB    int
	backlogMB int
	instances []int
	nodes     []int
	json      string
	markdown  string
	svg       string
	logs      string
	suite     string
	name      string
	sync      bool
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	var from, what, turns, agents, settings, instances, nodes string
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&from, "from", "", "comma-separated: files that -json wrote; measure nothing, and print and save what is in all of them")
	flags.StringVar(&what, "what", "light", "comma-separated, of "+strings.Join(everything, ", ")+"; or light (the first four), heavy (the next four), all")
	flags.IntVar(&o.n, "n", 3, "turns for each agent: so many of each fault")
	flags.StringVar(&turns, "turns", "", "comma-separated: play only these of the -n turns, and the others in another run; all unless given")
	flags.IntVar(&o.monitors, "monitors", 10, "monitors in each turn, for each role")
	flags.StringVar(&agents, "agents", "bin/pgsqlms,"+strings.Join(lab.PackagedAgents(), ","),
		"comma-separated: files, or of "+strings.Join(lab.PackagedAgents(), ", ")+" ("+lab.AgentHand+": by hand, the floor)")
	flags.StringVar(&settings, "settings", recommended, "comma-separated: "+recommended+", "+equal)
	flags.DurationVar(&o.detection, "detection", 5*time.Second, "with equal settings, how long a lost node is waited for; monitors are run every second")
	flags.DurationVar(&o.sooner, "for", time.Hour, "begin no further turn after this time")
	flags.IntVar(&o.dirtyMB, "dirty-mb", 2048, "dirty buffers of "+whatKillNodeDirty+", and the clean ones of "+whatKillNodeClean+"; less where memory is short")
	flags.IntVar(&o.loadMB, "load-mb", 400, "dirty buffers of "+whatSwitchoverLoad)
	flags.IntVar(&o.backlogMB, "backlog-mb", 512, "WAL that the standbys have not replayed in "+whatKillNodeBacklog)
	flags.StringVar(&instances, "instances", "1,5,10,20", "how many instances on one node")
	flags.StringVar(&nodes, "nodes", "2,3,5,8", "how many nodes")
	flags.StringVar(&o.json, "json", "", "write all figures to this file, anew after each; the directory is made")
	flags.StringVar(&o.markdown, "markdown", "", "write what is printed to this file, too")
	flags.StringVar(&o.svg, "svg", "", "plot the write gaps to this file")
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
	if err := o.bounds(); err != nil {
		return o, err
	}
	if from != "" {
		o.from = strings.Split(from, ",")
		return o, nil
	}
	var errs [5]error
	o.what, errs[0] = chosen(what)
	o.agents, errs[1] = agentsOf(agents, settings)
	o.instances, errs[2] = numbers("instances", instances, 1, 20)
	o.nodes, errs[3] = numbers("nodes", nodes, 2, 9)
	o.turns, errs[4] = turnsOf(turns, o.n)
	return o, errors.Join(errs[:]...)
}

// bounds refuses numbers that nothing can be measured with.
func (o options) bounds() error {
	if min(o.n, o.monitors, o.dirtyMB, o.loadMB, o.backlogMB) < 1 {
		return errors.New("-n, -monitors, -dirty-mb, -load-mb, -backlog-mb: want at least 1")
	}
	if o.detection < 3*time.Second || o.detection%time.Second != 0 {
		return fmt.Errorf("-detection %s: want whole seconds, at least 3: Patroni and etcd take no less", o.detection)
	}
	return nil
}

// turnsOf are the turns that are played, of n.
func turnsOf(list string, n int) ([]int, error) {
	if list != "" {
		return numbers("turns", list, 1, n)
	}
	var all []int
	for turn := range n {
		all = append(all, turn+1)
	}
	return all, nil
}

// mayWrite says whether what will be measured can be saved.
func (o options) mayWrite() error {
	errs := []error{scenario.MaySave(o.json), scenario.MaySave(o.markdown), scenario.MaySave(o.svg)}
	if o.logs != "" {
		errs = append(errs, os.MkdirAll(o.logs, 0o755))
	}
	return errors.Join(errs...)
}

// numbers reads a list of numbers within bounds.
func numbers(name, list string, least, most int) ([]int, error) {
	var all []int
	for _, text := range strings.Split(list, ",") {
		var n int
		if _, err := fmt.Sscan(text, &n); err != nil || n < least || n > most {
			return nil, fmt.Errorf("-%s %q: want numbers from %d to %d", name, text, least, most)
		}
		all = append(all, n)
	}
	return all, nil
}

// chosen gives what is to be measured, in the order of everything.
func chosen(list string) ([]string, error) {
	var names []string
	for _, name := range strings.Split(list, ",") {
		switch group, ok := groups[name]; {
		case ok:
			names = append(names, group...)
		case slices.Contains(everything, name):
			names = append(names, name)
		default:
			return nil, fmt.Errorf("-what %q: want some of %s, or light, heavy, all", name, strings.Join(everything, ", "))
		}
	}
	return among(everything, names), nil
}

// among gives those of a list that are chosen, in the list's order.
func among(list, chosen []string) []string {
	var some []string
	for _, name := range list {
		if slices.Contains(chosen, name) {
			some = append(some, name)
		}
	}
	return some
}

func agentsOf(list, settings string) ([]agent, error) {
	var agents []agent
	for _, kind := range strings.Split(settings, ",") {
		if kind != recommended && kind != equal {
			return nil, fmt.Errorf("-settings %q: want %s or %s", kind, recommended, equal)
		}
		for _, path := range strings.Split(list, ",") {
			found, err := lab.FindAgent(path)
			if err != nil {
				return nil, err
			}
			a := agent{Name: filepath.Base(path), Path: found, Settings: kind}
			if found == lab.AgentHand {
				a.Name, a.Settings = floorName, recommended // it detects nothing
			}
			if a.Settings == equal {
				a.Name += " " + equal
			}
			switch {
			case !slices.ContainsFunc(agents, func(b agent) bool { return b.Name == a.Name }):
				agents = append(agents, a)
			case found != lab.AgentHand || kind == recommended:
				return nil, fmt.Errorf("-agents: two are called %q", a.Name)
			}
		}
	}
	return agents, nil
}
