// Command pgsqlms is the resource agent ocf:heartbeat:pgsqlms: Pacemaker runs it with
// an action as its only argument, and all else in the environment. A person runs the same
// program with the name of a command, such as status.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"pgsqlms/internal/agent"
	"pgsqlms/internal/operator"
)

func main() {
	os.Exit(run(os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
}

func run(args, environ []string, stdout, stderr io.Writer) int {
	if operator.IsAlert(args, environ) {
		args = operator.AlertArguments()
	}
	if operator.Knows(args) {
		return operate(args, environ, stdout, stderr)
	}
	return int(agent.Run(context.Background(), agent.Process{
		Args: args, Environ: environ, Stdout: stdout, Stderr: stderr,
		Terminal: isTerminal(stderr), Started: started(time.Now()), Version: version(),
	}))
}

// operate runs a command, until its end, Ctrl-C, or the loss of its terminal.
func operate(args, environ []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	return int(operator.Run(ctx, operator.Process{
		Args: args, Environ: environ, Stdin: os.Stdin, Stdout: stdout, Stderr: stderr,
		Asks: isTerminal(os.Stdin), Terminal: isTerminal(stdout), Columns: columns(stdout), Version: version(),
	}))
}
