package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"pgsqlms/test/lab"
	"pgsqlms/test/scenario"
)

// demo is one run.
type demo struct {
	options  options
	keep     bool
	out      io.Writer
	progress *progress
	results  []scenario.Result
}

// total bounds the whole run, so that a cluster that never recovers does not keep anybody waiting.
const total = 15 * time.Minute

func (d *demo) run(ctx context.Context) int {
	ctx, cancel := context.WithTimeout(ctx, total)
	defer cancel()
	d.print("Three nodes with Corosync, Pacemaker, fencing and PostgreSQL. Replication is synchronous (ANY 1 of the\n" +
		"standbys), so that no acknowledged row may be lost. A client writes a row every 5 ms through the VIP.\n\n")
	l, err := d.play(ctx)
	downErr := d.leave(ctx, l)
	d.print("\n%s\n", scenario.Table(scenario.Header, d.rows()))
	d.notes()
	code := d.verdict(ctx, err)
	if downErr != nil {
		d.print("The lab could not be taken down: %v\nTry \"%s\".\n", downErr, labCommand(d.options.name, "down"))
		code = exitFailed
	}
	return code
}

// play runs the scenarios one after another, and stops at the first that cannot be played to its end. The lab is nil if
// it did not come up.
func (d *demo) play(ctx context.Context) (*lab.Lab, error) {
	config := lab.Config{Name: d.options.name, Suite: d.options.suite, Agent: d.options.agent, Sync: true, Keep: d.keep}
	l, result, err := scenario.FirstStart(ctx, config, d.progress.within("first start"))
	d.add(result, err)
	if err != nil {
		return l, err
	}
	for _, s := range []scenario.Scenario{scenario.KillPostgres(), scenario.KillNode(), scenario.Switchover("")} {
		if err := d.one(ctx, l, s); err != nil {
			return l, err
		}
	}
	back := scenario.Switchover(d.results[len(d.results)-1].Before)
	back.Name = "switchover back"
	return l, d.one(ctx, l, back)
}

func (d *demo) one(ctx context.Context, l *lab.Lab, s scenario.Scenario) error {
	runner := scenario.Runner{Lab: l, Progress: d.progress.within(s.Name), Repair: d.repair(l)}
	result, err := runner.Run(ctx, s)
	d.add(result, err)
	return err
}

// repair is what an administrator does with a node that has diverged. A checkpoint of the new primary, which pg_rewind needs,
// is asked for and not waited for.
func (d *demo) repair(l *lab.Lab) func(ctx context.Context, node string) error {
	if d.options.agent == lab.AgentPAF {
		return l.Rebuild
	}
	return func(ctx context.Context, node string) error {
		// PostgreSQL says that it has diverged before Pacemaker knows, and the command refuses while a transition is under way.
		if _, err := l.Run(ctx, node, "crm_resource", "--wait", "--timeout", "60s"); err != nil {
			return err
		}
		result, err := l.Exec(ctx, node, lab.ExecOptions{}, "pgsqlms", "rejoin", "--yes", "--checkpoint")
		if err == nil && result.Code != 0 {
			err = fmt.Errorf("pgsqlms rejoin on %s ended with exit code %d: %s%s", node, result.Code, result.Stdout, result.Stderr)
		}
		return err
	}
}

func (d *demo) add(result scenario.Result, err error) {
	d.results = append(d.results, result)
	if err == nil {
		d.progress.say(fmt.Sprintf("%s: done, write gap %s", result.Scenario, scenario.Seconds(result.Gap.Length())))
	}
}

// leave takes the lab down, or tells how to enter it. Whatever ended the run, this is done.
func (d *demo) leave(ctx context.Context, l *lab.Lab) error {
	if d.keep {
		d.print("\n%s", enter(d.options.name))
		return nil
	}
	d.progress.say("taking the cluster down")
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	if l == nil {
		return nil // one that does not come up cleans up behind itself
	}
	return l.Down(ctx)
}

// enter tells what can be done with a lab that was kept.
func enter(name string) string {
	return fmt.Sprintf("The cluster is still up. Its nodes are n1, n2, n3:\n"+
		"  %s\n  %s n1\n  %s n1 -- crm_mon -1\n  %s n1 -- pgsqlms status\n  %s\n",
		labCommand(name, "status"), labCommand(name, "shell"), labCommand(name, "exec"), labCommand(name, "exec"),
		labCommand(name, "down"))
}

func (d *demo) rows() [][]string {
	var rows [][]string
	for _, r := range d.results {
		rows = append(rows, r.Row())
	}
	return rows
}

// notes tells what a person had to do.
func (d *demo) notes() {
	with := `"pgsqlms rejoin"`
	if d.options.agent == lab.AgentPAF {
		with = "pg_basebackup"
	}
	for _, r := range d.results {
		for _, node := range r.Repaired {
			d.print("%s: %s died with WAL on its disk that no standby had received (no row in it was acknowledged). PostgreSQL\n"+
				"cannot follow a primary that lacks it: the demo repaired it with %s, as an administrator would.\n", r.Scenario, node, with)
		}
	}
}

// verdict says how it went, and gives the exit code for that.
func (d *demo) verdict(ctx context.Context, err error) int {
	if errors.Is(ctx.Err(), context.Canceled) {
		d.print("Stopped.\n")
		return exitStopped
	}
	code := exitOK
	for _, r := range d.results {
		for _, complaint := range r.Complaints() {
			d.print("%s: %s\n", r.Scenario, complaint)
			code = exitFailed
		}
	}
	switch {
	case err != nil:
		d.print("Failed: %v\n", err)
		return exitFailed
	case code == exitOK:
		d.print("In doubt: sent, and the connection broke before the answer. A crash of the postmaster alone is noticed by the next\n" +
			"monitor, a second later at most; a lost node by Corosync, at once.\n")
		d.print("Nothing acknowledged was lost, and all nodes stream.\n")
	}
	return code
}

func (d *demo) print(format string, args ...any) { _, _ = fmt.Fprintf(d.out, format, args...) }
