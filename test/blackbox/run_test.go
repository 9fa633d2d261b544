package blackbox

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// run is what one call of the agent left behind.
type run struct {
	invocation
	code           int
	stdout, stderr string
	log            string // what it added to HA_LOGFILE
	took           time.Duration
	calls          []call
}

const reasonPrefix = "ocf-exit-reason:"

// reasons are the exit reasons; there should be one at most.
func (r *run) reasons() []string {
	var found []string
	for line := range strings.Lines(r.stderr) {
		if reason, ok := strings.CutPrefix(strings.TrimRight(line, "\r\n"), reasonPrefix); ok {
			found = append(found, reason)
		}
	}
	return found
}

// runAgent calls the agent as Pacemaker does: in a process group of its own, its output going into pipes, killed
// without a word at the timeout.
func (w *world) runAgent(i invocation) (*run, error) {
	if err := errors.Join(w.checkHarmless(i), w.forgetCalls(), ignoreMissing(os.Remove(w.log()))); err != nil {
		return nil, err
	}
	foreign := w.foreignFiles()
	r := &run{invocation: i}
	if err := w.execute(r); err != nil {
		return nil, err
	}
	var err error
	if r.calls, err = w.readCalls(); err != nil {
		return nil, err
	}
	w.awaitLog()
	log, err := os.ReadFile(w.log())
	r.log = string(log)
	w.last = r
	return r, errors.Join(ignoreMissing(err), w.checkRun(r, foreign))
}

func ignoreMissing(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

func (w *world) execute(r *run) error {
	var stdout, stderr bytes.Buffer
	cmd := exec.Command(agentPath(), r.arguments()...)
	cmd.Env = w.environment(r.invocation)
	cmd.Dir = "/"
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = time.Second
	var screen *terminal
	if w.tty {
		var err error
		if screen, err = openTerminal(); err != nil {
			return err
		}
		cmd.Stderr = screen.slave
	}
	timeout := timeoutOf(cmd.Env)
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return err
	}
	killer := time.AfterFunc(timeout+busy, func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	err := cmd.Wait()
	inTime := killer.Stop()
	r.took, r.code = time.Since(began), cmd.ProcessState.ExitCode()
	r.stdout, r.stderr = stdout.String(), stderr.String()
	if screen != nil {
		r.stderr = screen.text()
	}
	switch {
	case !inTime:
		return fmt.Errorf("did not end within its timeout of %s and was killed, as Pacemaker would; standard error: %q", timeout, r.stderr)
	case errors.Is(err, exec.ErrWaitDelay):
		return fmt.Errorf("a process it started holds its output open, Pacemaker would wait for that")
	}
	return nil
}

func timeoutOf(env []string) time.Duration {
	for _, kv := range env {
		if value, ok := strings.CutPrefix(kv, meta("timeout")+"="); ok {
			if ms, err := strconv.Atoi(value); err == nil && ms > 0 {
				return time.Duration(ms) * time.Millisecond
			}
		}
	}
	return 20 * time.Second // Pacemaker's default
}

// awaitLog waits for the program that writes the agent's log to end: on a busy machine the agent may have ended before.
func (w *world) awaitLog() {
	for n := 0; n < 1000 && w.isWriting(); n++ {
		time.Sleep(10 * time.Millisecond)
	}
}

func (w *world) isWriting() bool {
	commands, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return false
	}
	return slices.ContainsFunc(commands, func(file string) bool {
		command, err := os.ReadFile(file)
		return err == nil && strings.HasSuffix(string(command), "\x00--\x00"+w.log()+"\x00")
	})
}
