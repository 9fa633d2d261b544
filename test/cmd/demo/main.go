// Command demo shows failovers and switchovers of a real three-node Pacemaker cluster on this one machine, and what they
// cost a client that writes all the while. "make demo" builds and runs it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"pgsqlms/test/lab"
)

func main() {
	lab.Hook()
	// A second Ctrl-C finds the lab being taken down already, which is bounded; it must not stop that half way.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	code := run(ctx, os.Args[1:], os.Getenv("KEEP") == "1", os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// Exit codes.
const (
	exitOK      = 0
	exitFailed  = 1 // a row was lost, a node does not stream, or a scenario could not be played
	exitCannot  = 2 // wrong usage, or this machine cannot run the demo
	exitStopped = 130
)

func run(ctx context.Context, args []string, keep bool, stdout, stderr io.Writer) int {
	options, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return exitOK
	}
	if err != nil {
		return exitCannot
	}
	if err := possible(options); err != nil {
		_, _ = fmt.Fprintln(stderr, "demo:", err)
		return exitCannot
	}
	d := &demo{options: options, keep: keep, out: stdout, progress: newProgress(stdout)}
	return d.run(ctx)
}

type options struct {
	agent string
	suite string
	name  string
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.agent, "agent", "bin/pgsqlms", "the agent to show: a file, or \""+lab.AgentPAF+"\" for PAF's from the Debian package")
	flags.StringVar(&o.suite, "suite", lab.DefaultSuite, "the Debian release that the nodes run")
	flags.StringVar(&o.name, "name", "demo", "the lab's name")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		_, _ = fmt.Fprintf(stderr, "demo: unexpected argument %q; the environment's KEEP=1 leaves the cluster up\n", flags.Arg(0))
		return o, errors.New("usage")
	}
	if o.agent != lab.AgentPAF {
		absolute, err := filepath.Abs(o.agent)
		if err != nil {
			return o, err
		}
		o.agent = absolute
	}
	return o, nil
}
