// Command faults injects faults into a real cluster in the lab and checks after each that nothing was lost, that there
// was one primary, that the right node was promoted, that the cluster came back, in time, and without a needless restart.
// "make faults" builds and runs it; docs/faults.md says what it injects and what must happen.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"pgsqlms/test/faults"
	"pgsqlms/test/lab"
	"pgsqlms/test/scenario"
)

// Exit codes.
const (
	exitOK      = 0
	exitBreach  = 1 // an invariant did not hold, or a scenario could not be played
	exitCannot  = 2 // wrong usage, or this machine cannot run it
	exitStopped = 130
)

func main() {
	lab.Hook()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	code := run(ctx, os.Args, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parse(args[1:], stderr)
	if errors.Is(err, flag.ErrHelp) {
		return exitOK
	}
	if err == nil && o.list {
		printCatalogue(stdout)
		return exitOK
	}
	if err == nil {
		err = scenario.Possible()
	}
	if err == nil {
		err = o.complete(ctx, stdout)
	}
	if err != nil {
		fmt.Fprintln(stderr, "faults:", err)
		return exitCannot
	}
	report := &faults.Report{Command: strings.Join(args, " "), Begun: time.Now().UTC().Truncate(time.Second), Seed: o.seed,
		Suite: o.suite, Monitor: o.monitor.Seconds()}
	err = play(ctx, o, report, stdout)
	fmt.Fprint(stdout, "\n", report.Text(), "\n")
	total, text := report.Breaches()
	fmt.Fprintf(stdout, "seed %d; %s\n", o.seed, text)
	if saveErr := report.Save(o.json); saveErr != nil {
		err = errors.Join(err, saveErr)
	}
	switch {
	case ctx.Err() != nil:
		return exitStopped
	case err != nil:
		fmt.Fprintln(stderr, "faults:", err)
		return exitBreach
	case total > 0 && !o.comparing():
		return exitBreach
	}
	return exitOK
}

// play plays everything with one agent after the other.
func play(ctx context.Context, o options, report *faults.Report, stdout io.Writer) error {
	began := time.Now()
	say := func(text string) { fmt.Fprintf(stdout, "%8.1f s  %s\n", time.Since(began).Seconds(), text) }
	fmt.Fprintf(stdout, "seed %d\n", o.seed)
	var errs []error
	for _, agent := range o.agents {
		r := faults.NewRunner(faults.Options{
			Agent: agent, Name: o.name, Suite: o.suite, Monitor: o.monitor, Modes: o.modes, Rounds: o.rounds, Seed: o.seed,
			Size: o.size, Evidence: o.evidence, Say: say,
		})
		done := func(run faults.Run) {
			report.Runs = append(report.Runs, run)
			fmt.Fprintln(stdout, strings.Join(run.Lines(), "\n"))
			if err := report.Save(o.json); err != nil { // after each: a run of hours may be stopped
				say(err.Error())
			}
		}
		var err error
		if o.random() {
			err = r.Randomly(ctx, o.runs, o.until(time.Now()), done)
		} else {
			err = r.All(ctx, o.faultsOf(agent), done)
		}
		errs = append(errs, err, r.Close(ctx))
	}
	return errors.Join(errs...)
}

func printCatalogue(out io.Writer) {
	for _, f := range faults.Catalogue() {
		fmt.Fprintf(out, "%-4s %s\n     %s\n", f.ID, f.Title, f.Must)
		for _, v := range f.Variants {
			fmt.Fprintf(out, "     - %s\n", v)
		}
	}
}
