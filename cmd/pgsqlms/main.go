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
	if operator.Knows(args) || operator.Mistyped(args, environ) {
		return operate(args, environ, stdout, stderr)
	}
	return int(agent.Run(context.Background(), agent.Process{
		Args: args, Environ: environ, Stdout: stdout, Stderr: stderr,
		Terminal: isTerminal(stderr), Started: started(time.Now()), Version: version(),
	}))
}

// operate runs a command, until its end, Ctrl-C, Ctrl-\, or the loss of its terminal.
func operate(args, environ []string, stdout, stderr io.Writer) int {
	ctx, again, stop := interruptible()
	defer stop()
	columns, rows := terminalSize(stdout)
	return int(operator.Run(ctx, operator.Process{
		Args: args, Environ: environ, Stdin: os.Stdin, Stdout: stdout, Stderr: stderr, Again: again,
		Asks: isTerminal(os.Stdin), Terminal: isTerminal(stdout), Columns: columns, Rows: rows, Version: version(),
	}))
}

// interruptible ends the context by the first signal that asks for an end, and closes again
// by the second: a command waits for what it must not leave half-way, and may stand still
// in a system call. The third one has its usual effect. A terminal that is lost sends
// SIGHUP more than once (the kernel does, and the shell), so it is never the second.
func interruptible() (ctx context.Context, again <-chan struct{}, stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGQUIT, syscall.SIGHUP)
	twice := make(chan struct{})
	go func() {
		defer cancel()
		if _, asked := <-signals; !asked {
			return
		}
		cancel()
		for s := range signals {
			if s != syscall.SIGHUP {
				signal.Reset(os.Interrupt, syscall.SIGTERM, syscall.SIGQUIT)
				close(twice)
				return
			}
		}
	}()
	return ctx, twice, func() {
		signal.Stop(signals)
		close(signals)
	}
}
