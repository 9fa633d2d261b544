// Command bench compares what keeps PostgreSQL available, in the lab: what a switchover, a crash of the primary's PostgreSQL
// and the loss of the primary's node cost a client, idle and under load, where the time goes, what a healthy monitor costs
// the machine, and how that grows. The same work done by hand is the floor. docs/performance.md
// says how it measures and what it found.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"pgsqlms/test/lab"
	"pgsqlms/test/scenario"
)

func main() {
	lab.Hook()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	code := run(ctx, os.Args, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	options, err := parse(args[1:], stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err == nil {
		err = scenario.Possible()
	}
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "bench:", err)
		return 2
	}
	report := newReport(args, options)
	series := &series{options: options, report: report, progress: newProgress(stderr)}
	runErr := series.run(ctx)
	_, _ = fmt.Fprint(stdout, report.text())
	err = errors.Join(report.save(options.json), write(options.markdown, report.text()), write(options.svg, report.plot()))
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "bench:", err)
		return 1
	}
	if runErr != nil {
		_, _ = fmt.Fprintln(stderr, "bench: not complete:", runErr)
		return 1
	}
	return 0
}

// newProgress gives a function that prints what is happening, with the seconds since the begin.
func newProgress(out io.Writer) func(string) {
	began := time.Now()
	return func(text string) { _, _ = fmt.Fprintf(out, "%7.1f s  %s\n", time.Since(began).Seconds(), text) }
}
