package lab

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// Sample is what one run of a command cost, with all of its descendants.
type Sample struct {
	Wall   time.Duration // until the command itself ended
	CPU    time.Duration // user and system
	User   time.Duration
	System time.Duration
	Exit   int
	// What follows is there only with count, which slows the run down, so that
	// its times are left out.
	MaxRSS   int      `json:",omitempty"` // KiB, of the largest single process
	Programs []string `json:",omitempty"` // that were executed, in order
	Forks    int      `json:",omitempty"` // processes that it and its descendants made
}

// Measure runs argv n times in a node, as root with env added to a clean
// environment, one after the other. With count it lists the programs that each
// run executes and tells how much memory it took, instead of measuring times.
func (l *Lab) Measure(ctx context.Context, node string, n int, count bool, env []string, argv ...string) ([]Sample, error) {
	args := []string{helperPath, cmdMeasure, "-n", strconv.Itoa(n), fmt.Sprintf("-count=%v", count), "--"}
	res, err := l.Exec(ctx, node, ExecOptions{Env: env}, append(args, argv...)...)
	if err != nil {
		return nil, err
	}
	if res.Code != 0 {
		return nil, fmt.Errorf("measuring %s on %s: %s", argv[0], node, res.Stderr)
	}
	var out []Sample
	if err := json.Unmarshal([]byte(res.Stdout), &out); err != nil {
		return nil, fmt.Errorf("measuring %s on %s: %w: %s", argv[0], node, err, res.Stdout)
	}
	return out, nil
}

// measureMain runs a command some times, on this machine or in a node, and
// writes the samples as JSON.
func measureMain(args []string, out io.Writer) error {
	fs := flag.NewFlagSet("measure", flag.ContinueOnError)
	n := fs.Int("n", 10, "how many times to run the command")
	count := fs.Bool("count", false, "list the programs executed instead of measuring")
	if err := fs.Parse(args); err != nil {
		return err
	}
	argv := fs.Args()
	if len(argv) == 0 || *n < 1 {
		return errors.New("usage: measure [-n times] [-count] -- command")
	}
	path, err := exec.LookPath(argv[0])
	if err != nil {
		return err
	}
	// Orphans of the command become children of this process, so that none escapes the count.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("becoming the subreaper: %w", err)
	}
	samples := make([]Sample, 0, *n)
	for range *n {
		run := runOnce
		if *count {
			run = traceOnce
		}
		s, err := run(path, argv)
		if err != nil {
			return err
		}
		samples = append(samples, s)
	}
	return json.NewEncoder(out).Encode(samples)
}

func runOnce(path string, argv []string) (Sample, error) {
	start := time.Now()
	p, err := startQuiet(path, argv, nil)
	if err != nil {
		return Sample{}, err
	}
	var s Sample
	for {
		var ws unix.WaitStatus
		var ru unix.Rusage
		pid, err := unix.Wait4(-1, &ws, 0, &ru)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.ECHILD: // the command and all that it left have ended
			s.CPU = s.User + s.System
			return s, nil
		case err != nil:
			return s, err
		}
		if pid == p.Pid {
			s.Wall = time.Since(start)
			s.Exit = shellStatus(ws)
		}
		// A child's figures include the descendants that it waited for; the
		// others come to us, so each is counted once.
		s.User += time.Duration(ru.Utime.Nano())
		s.System += time.Duration(ru.Stime.Nano())
	}
}

func startQuiet(path string, argv []string, sys *unix.SysProcAttr) (*os.Process, error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	return os.StartProcess(path, argv, &os.ProcAttr{Files: []*os.File{null, null, null}, Sys: sys})
}

func shellStatus(ws unix.WaitStatus) int {
	if ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return ws.ExitStatus()
}
