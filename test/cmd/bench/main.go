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
	fail := func(code int, err error) int {
		_, _ = fmt.Fprintln(stderr, "bench:", err)
		return code
	}
	options, err := parse(args[1:], stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err == nil {
		err = options.mayWrite() // and not after hours
	}
	if err != nil {
		return fail(2, err)
	}
	report, runErr, err := figures(ctx, args, options, stderr)
	if err != nil {
		return fail(2, err)
	}
	_, _ = fmt.Fprint(stdout, report.text())
	if err := report.save(options); err != nil {
		return fail(1, err)
	}
	if runErr != nil {
		return fail(1, fmt.Errorf("not complete: %w", runErr))
	}
	return 0
}

// figures are those of earlier runs, or of one that is made now. runErr is why that is not complete, err why there is none.
func figures(ctx context.Context, args []string, o options, stderr io.Writer) (r *report, runErr, err error) {
	if len(o.from) > 0 {
		r, err = joined(args, o.from)
		return r, nil, err
	}
	if err := scenario.Possible(); err != nil {
		return nil, nil, err
	}
	release, err := lab.Reserve(o.name)
	if err != nil {
		return nil, nil, err
	}
	defer release()
	r = newReport(args, o)
	series := &series{options: o, report: r, progress: newProgress(stderr)}
	return r, series.run(ctx), nil
}

// newProgress gives a function that prints what is happening, with the seconds since the begin.
func newProgress(out io.Writer) func(string) {
	began := time.Now()
	return func(text string) { _, _ = fmt.Fprintf(out, "%7.1f s  %s\n", time.Since(began).Seconds(), text) }
}
