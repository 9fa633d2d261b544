package faults

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"pgsqlms/test/lab"
	"pgsqlms/test/writer"
)

// keep saves the evidence of a failure: the logs of all nodes, the configuration and state of the cluster, what every
// writer saw, and the run's own record.
func (r *Runner) keep(ctx context.Context, p *Play, run *Run) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Minute)
	defer cancel()
	dir, err := r.evidenceDir(run)
	if err != nil {
		r.options.Say("the evidence cannot be kept: " + err.Error())
		return
	}
	run.Evidence = dir
	record, err := json.MarshalIndent(run, "", "  ")
	err = errors.Join(err,
		p.Lab.CollectLogs(dir),
		os.WriteFile(filepath.Join(dir, "run.json"), record, 0o644),
		saveHistory(filepath.Join(dir, "writers.jsonl"), run.evidence.All),
		saveCluster(ctx, p.Lab, dir))
	if err != nil {
		r.options.Say("not all of the evidence could be kept: " + err.Error())
	}
	p.say("evidence: " + dir)
}

func (r *Runner) evidenceDir(run *Run) (string, error) {
	if r.options.Evidence == "" {
		dir, err := os.MkdirTemp("", "pgsqlms-faults-")
		if err != nil {
			return "", err
		}
		r.options.Evidence = dir
	}
	r.kept++
	dir := filepath.Join(r.options.Evidence, fmt.Sprintf("%03d-%s-%s-%s-seed%d", r.kept, run.Agent, run.Fault, run.Mode, run.Seed))
	return dir, os.MkdirAll(dir, 0o755)
}

// saveHistory writes one attempt a line, in the order in which they were sent.
func saveHistory(path string, h writer.History) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	out := bufio.NewWriter(f)
	lines := json.NewEncoder(out)
	for _, a := range h.Attempts {
		line := map[string]any{"id": a.ID, "writer": a.Writer, "kind": a.Kind.String(),
			"sent": h.Epoch.Add(a.Sent).UTC(), "answered": h.Epoch.Add(a.Answered).UTC()}
		if a.Node != "" {
			line["node"] = a.Node
		}
		if a.Reason != "" {
			line["reason"] = a.Reason
		}
		if err := lines.Encode(line); err != nil {
			return err
		}
	}
	return out.Flush()
}

// saveCluster asks every node that answers for the cluster as it sees it.
func saveCluster(ctx context.Context, l *lab.Lab, dir string) error {
	var errs []error
	for _, n := range l.Nodes() {
		for file, argv := range map[string][]string{
			"cib-live.xml": {"cibadmin", "--query", "--local"},
			"crm_mon.txt":  {"crm_mon", "-1rfAn"},
			"processes":    {"ps", "axfo", "pid,ppid,stat,user,args"},
		} {
			bounded, cancel := context.WithTimeout(ctx, 10*time.Second)
			result, err := l.Exec(bounded, n.Name, lab.ExecOptions{}, argv...)
			cancel()
			text := result.Stdout + result.Stderr
			if err != nil { // no power, frozen, or nothing that answers: that is part of what is to be seen
				text += err.Error() + "\n"
			}
			path := filepath.Join(dir, n.Name, file)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				errs = append(errs, err)
				continue
			}
			errs = append(errs, os.WriteFile(path, []byte(text), 0o644))
		}
	}
	return errors.Join(errs...)
}
