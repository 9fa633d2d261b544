// Command lab runs a real Pacemaker cluster with PostgreSQL on this one
// machine. docs/lab.md describes it; package test/lab is what it drives.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"time"

	"pgsqlms/test/lab"
)

const usage = `lab runs a real Pacemaker cluster with PostgreSQL on this machine. It needs root.

  lab up [flags]            build a cluster and wait until it is ready
  lab down                  take it away, also one that came up half
  lab status                what the cluster, the databases and the power switch say
  lab exec NODE -- CMD      run a command in a node (-u postgres for another user)
  lab shell NODE            a shell in a node
  lab sql NODE QUERY        ask a node's database

  lab kill-pg NODE          kill -9 the postmaster and its children
  lab kill-node NODE        take the power away
  lab boot NODE             give the power back
  lab cut NODE              pull the cable (-silent: the carrier stays)
  lab heal NODE             put the cable back
  lab freeze NODE           stop all that runs in the node
  lab thaw NODE             let it go on
  lab rebuild NODE          make it a fresh standby of the primary
  lab move NODE             move the promoted role there, and forget the constraint
  lab wait                  wait until the cluster is ready

  lab logs DIR              collect the logs of all nodes
  lab measure NODE -- CMD   what runs of a command cost in a node
  lab sandbox -- CMD        run a command in a throw-away root of the tree
  lab tree                  only make the Debian tree
  lab doctor                what this machine lacks to run a lab

Each command takes -h. --name tells labs apart (default "lab").

Example:
  lab up --agent bin/pgsqlms && lab kill-node n1 && lab wait && lab status && lab down
`

// command is one word of the command line.
type command struct {
	args  string // what follows the flags, for its usage line
	nargs int    // how many of them; -1 for one or more, 0 for none
	run   func(ctx context.Context, c *call) error
	flags func(c *call)
}

// call is a command with what the user gave it.
type call struct {
	fs   *flag.FlagSet
	name string // of the lab
	args []string
	opts options
}

var errUsage = errors.New("usage")

func main() {
	lab.Hook()
	ctx, cancel := lab.UntilInterrupted(context.Background())
	err := run(ctx, os.Args[1:])
	cancel()
	var exit exitError
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
	case errors.As(err, &exit):
		os.Exit(int(exit))
	case errors.Is(err, errUsage):
		os.Exit(2)
	default:
		fmt.Fprintln(os.Stderr, "lab:", err)
		os.Exit(1)
	}
}

// exitError passes on the exit code of a command that ran in a node.
type exitError int

func (e exitError) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

func run(ctx context.Context, args []string) error {
	if len(args) == 0 || args[0] == "-h" || args[0] == "--help" || args[0] == "help" {
		fmt.Print(usage)
		return nil
	}
	cmd, ok := commands[args[0]]
	if !ok {
		fmt.Fprintf(os.Stderr, "lab: unknown command %q\n\n%s", args[0], usage)
		return errUsage
	}
	c := &call{fs: flag.NewFlagSet("lab "+args[0], flag.ContinueOnError)}
	c.fs.StringVar(&c.name, "name", "lab", "name of the lab")
	if cmd.flags != nil {
		cmd.flags(c)
	}
	c.fs.Usage = func() {
		fmt.Fprintf(c.fs.Output(), "usage: lab %s [flags] %s\n", args[0], cmd.args)
		c.fs.PrintDefaults()
	}
	if err := c.parse(args[1:]); err != nil {
		return err
	}
	if (cmd.nargs >= 0 && len(c.args) != cmd.nargs) || (cmd.nargs < 0 && len(c.args) < -cmd.nargs) {
		c.fs.Usage()
		return errUsage
	}
	return cmd.run(ctx, c)
}

// parse takes flags before and after the first argument (a node), up to "--".
func (c *call) parse(args []string) error {
	for {
		if err := c.fs.Parse(args); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				return err
			}
			return errUsage // flag has told what is wrong
		}
		rest := c.fs.Args()
		if n := len(args) - len(rest); len(rest) == 0 || (n > 0 && args[n-1] == "--") {
			c.args = append(c.args, rest...)
			return nil
		}
		c.args = append(c.args, rest[0])
		args = rest[1:]
		if len(args) == 0 {
			return nil
		}
	}
}

func say(start time.Time) func(string) {
	return func(s string) { fmt.Fprintf(os.Stderr, "%6.1f s  %s\n", time.Since(start).Seconds(), s) }
}
