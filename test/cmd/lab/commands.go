package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"pgsqlms/test/lab"
)

// options are the flags of all commands.
type options struct {
	cfg                lab.Config
	user               string
	silent, count, all bool
	n                  int
	binds              []lab.Bind
	env                []string
	dir                string
	timeout            time.Duration
}

var commands map[string]command

func init() { // refers to functions that use it
	commands = map[string]command{
		"up":        {"", 0, up, upFlags},
		"down":      {"", 0, down, nil},
		"status":    {"", 0, status, nil},
		"wait":      {"", 0, wait, waitFlags},
		"exec":      {"NODE -- command ...", -2, execute, userFlag},
		"shell":     {"NODE", 1, shell, userFlag},
		"sql":       {"NODE query", 2, sql, nil},
		"kill-node": {"NODE", 1, onNode((*lab.Lab).KillNode), nil},
		"boot":      {"NODE", 1, onNode((*lab.Lab).Boot), nil},
		"kill-pg":   {"NODE", 1, onNode((*lab.Lab).KillPostgres), nil},
		"cut":       {"NODE", 1, cut, silentFlag},
		"heal":      {"NODE", 1, onNode((*lab.Lab).Heal), nil},
		"freeze":    {"NODE", 1, onNode((*lab.Lab).Freeze), nil},
		"thaw":      {"NODE", 1, onNode((*lab.Lab).Thaw), nil},
		"rebuild":   {"NODE", 1, onNode((*lab.Lab).Rebuild), nil},
		"move":      {"NODE", 1, onNode((*lab.Lab).Move), nil},
		"logs":      {"DIR", 1, logs, nil},
		"measure":   {"NODE -- command ...", -2, measure, measureFlags},
		"sandbox":   {"-- command ...", -1, sandbox, sandboxFlags},
		"tree":      {"", 0, tree, suiteFlag},
		"doctor":    {"", 0, doctor, nil},
	}
}

func upFlags(c *call) {
	o := &c.opts.cfg
	c.fs.IntVar(&o.Nodes, "nodes", 3, "number of nodes")
	c.fs.StringVar(&o.Agent, "agent", lab.AgentPAF, "agent under test: a file, or a packaged system: "+strings.Join(lab.PackagedAgents(), ", "))
	c.fs.BoolVar(&o.Sync, "sync", false, "synchronous replication")
	c.fs.BoolVar(&o.NoSync, "no-fsync", false, "PostgreSQL with fsync off")
	c.fs.BoolVar(&o.NoResources, "no-resources", false, "a cluster with a fence device only")
	c.fs.BoolVar(&o.Keep, "keep", false, "leave a lab that failed to come up as it is")
	c.fs.DurationVar(&o.Token, "token", time.Second, "corosync's token timeout")
	c.fs.DurationVar(&o.FenceReboot, "reboot", 3*time.Second, "time without power after a fencing; negative: for ever")
	c.fs.Func("param", "parameter of the PostgreSQL resource, name=value; may be repeated", pairs(&o.Params))
	c.fs.Func("pgconf", "setting of PostgreSQL, name=value; may be repeated", pairs(&o.PGConf))
	suiteFlag(c)
}

func suiteFlag(c *call) {
	c.fs.StringVar(&c.opts.cfg.Suite, "suite", lab.DefaultSuite, "Debian release of the nodes")
}

func waitFlags(c *call) {
	c.fs.DurationVar(&c.opts.timeout, "timeout", 90*time.Second, "how long to wait")
	c.fs.BoolVar(&c.opts.all, "all", false, "also for the power of nodes that have none")
}
func userFlag(c *call)   { c.fs.StringVar(&c.opts.user, "u", "root", "user to be") }
func silentFlag(c *call) { c.fs.BoolVar(&c.opts.silent, "silent", false, "keep the carrier") }

func measureFlags(c *call) {
	c.fs.IntVar(&c.opts.n, "n", 10, "number of runs")
	c.fs.BoolVar(&c.opts.count, "count", false, "list the programs executed instead of measuring")
	c.fs.Func("env", "name=value; may be repeated", appendTo(&c.opts.env))
}

func sandboxFlags(c *call) {
	suiteFlag(c)
	c.fs.Func("env", "name=value; may be repeated", appendTo(&c.opts.env))
	c.fs.StringVar(&c.opts.dir, "dir", "/", "directory to be in")
	c.fs.Func("bind", "host path to be seen inside, path[:inside[:rw]]; may be repeated", func(s string) error {
		b, err := parseBind(s)
		c.opts.binds = append(c.opts.binds, b)
		return err
	})
}

func parseBind(s string) (lab.Bind, error) {
	f := strings.Split(s, ":")
	b := lab.Bind{Host: f[0]}
	if len(f) > 1 {
		b.Inside = f[1]
	}
	if len(f) > 3 || (len(f) == 3 && f[2] != "rw") || f[0] == "" {
		return b, fmt.Errorf("expected path, path:inside or path:inside:rw, found %q", s)
	}
	b.Write = len(f) == 3
	return b, nil
}

func appendTo(list *[]string) func(string) error {
	return func(s string) error {
		if !strings.Contains(s, "=") {
			return errors.New("expected name=value")
		}
		*list = append(*list, s)
		return nil
	}
}

func pairs(m *map[string]string) func(string) error {
	return func(s string) error {
		k, v, ok := strings.Cut(s, "=")
		if !ok {
			return errors.New("expected name=value")
		}
		if *m == nil {
			*m = map[string]string{}
		}
		(*m)[k] = v
		return nil
	}
}

func up(ctx context.Context, c *call) error {
	cfg := c.opts.cfg
	cfg.Name = c.name
	start := time.Now()
	l, err := lab.Up(ctx, cfg, say(start))
	if err != nil {
		return err
	}
	fmt.Printf("the lab %[1]s is up after %.1[2]f s: lab status --name %[1]s, lab shell --name %[1]s n1, lab down --name %[1]s\n",
		c.name, time.Since(start).Seconds())
	return printStatus(ctx, l)
}

func down(ctx context.Context, c *call) error { return lab.Down(ctx, c.name) }

func status(ctx context.Context, c *call) error {
	l, err := lab.Open(c.name)
	if err != nil {
		return err
	}
	return printStatus(ctx, l)
}

func printStatus(ctx context.Context, l *lab.Lab) error {
	s, err := l.Status(ctx)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NODE\tADDRESS\tPOWER\tPACEMAKER\tROLE\tDATABASE\tREPLICATION\tSCORE\tVIP")
	for _, n := range l.Nodes() {
		ns := s.Nodes[n.Name]
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", n.Name, n.Addr, power(ns),
			shown(slices.Contains(s.Online, n.Name), "online"), dash(ns.Role), dash(ns.SQL),
			shown(ns.Streaming, "streaming "+ns.SyncState), dash(ns.Score), shown(ns.HasVIP, l.VIP()))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Printf("DC %s %s, fencings %d\n", dash(s.DC), dash(s.DCState), s.Fencings)
	for _, f := range s.Failures {
		fmt.Println("failed:", f)
	}
	return nil
}

func power(n lab.NodeStatus) string {
	switch {
	case !n.Powered:
		return "off"
	case n.Frozen:
		return "frozen"
	case n.Cut != "":
		return "on, " + n.Cut
	}
	return "on"
}

// shown is the text of a cell of which the condition may not hold.
func shown(cond bool, s string) string {
	if cond {
		return s
	}
	return "-"
}

func dash(s string) string { return shown(s != "", s) }

func wait(ctx context.Context, c *call) error {
	l, err := lab.Open(c.name)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, c.opts.timeout)
	defer cancel()
	if c.opts.all {
		return l.WaitWhole(ctx)
	}
	return l.WaitReady(ctx)
}

// onNode is a command that does one thing to one node.
func onNode(do func(*lab.Lab, context.Context, string) error) func(context.Context, *call) error {
	return func(ctx context.Context, c *call) error {
		l, err := lab.Open(c.name)
		if err != nil {
			return err
		}
		return do(l, ctx, c.args[0])
	}
}

func cut(ctx context.Context, c *call) error {
	if c.opts.silent {
		return onNode((*lab.Lab).SilentCut)(ctx, c)
	}
	return onNode((*lab.Lab).Cut)(ctx, c)
}

func execute(ctx context.Context, c *call) error { return inNode(ctx, c, c.args[1:]) }

func shell(ctx context.Context, c *call) error { return inNode(ctx, c, []string{"/bin/bash"}) }

func inNode(ctx context.Context, c *call, argv []string) error {
	l, err := lab.Open(c.name)
	if err != nil {
		return err
	}
	// It shares the terminal, so Ctrl-C reaches it, and it decides what to do.
	res, err := l.Exec(context.WithoutCancel(ctx), c.args[0], lab.ExecOptions{
		User: c.opts.user, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		Env: []string{"TERM=" + os.Getenv("TERM")}, Terminal: true,
	}, argv...)
	if err != nil {
		return err
	}
	return codeError(res.Code)
}

func codeError(code int) error {
	if code == 0 {
		return nil
	}
	return exitError(code)
}

func sql(ctx context.Context, c *call) error {
	l, err := lab.Open(c.name)
	if err != nil {
		return err
	}
	out, err := l.SQL(ctx, c.args[0], c.args[1])
	if out != "" {
		fmt.Println(out)
	}
	return err
}

func logs(_ context.Context, c *call) error {
	l, err := lab.Open(c.name)
	if err != nil {
		return err
	}
	return l.CollectLogs(c.args[0])
}

func measure(ctx context.Context, c *call) error {
	l, err := lab.Open(c.name)
	if err != nil {
		return err
	}
	samples, err := l.Measure(ctx, c.args[0], c.opts.n, c.opts.count, c.opts.env, c.args[1:]...)
	if err != nil {
		return err
	}
	e := json.NewEncoder(os.Stdout)
	for _, s := range samples {
		if err := e.Encode(s); err != nil {
			return err
		}
	}
	return nil
}

func sandbox(ctx context.Context, c *call) error {
	code, err := lab.RunInTree(ctx, lab.Sandbox{
		Suite: c.opts.cfg.Suite, Binds: c.opts.binds, Dir: c.opts.dir, Env: c.opts.env,
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Progress: say(time.Now()),
	}, c.args...)
	if err != nil {
		return err
	}
	return codeError(code)
}

func tree(ctx context.Context, c *call) error {
	dir, err := lab.Tree(ctx, c.opts.cfg.Suite, say(time.Now()))
	if err == nil {
		fmt.Println(dir)
	}
	return err
}

func doctor(context.Context, *call) error {
	missing := lab.Requirements()
	if len(missing) == 0 {
		fmt.Println("nothing is missing")
		return nil
	}
	fmt.Println("missing:\n  " + strings.Join(missing, "\n  "))
	if hint := lab.InstallHint(); hint != "" {
		fmt.Println(hint)
	}
	return exitError(1)
}
