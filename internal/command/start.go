package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// Process is a program that was started to outlive this process.
type Process struct {
	Pid  int
	done chan struct{}
	err  error // why it ended; read only after done is closed
}

// Start starts the program in a session of its own and does not wait for it:
// neither the end of ctx nor of this process ends it. Its output goes to
// c.Stdout and c.Stderr, or to /dev/null. It reads c.Stdin, or /dev/null.
func Start(ctx context.Context, c Cmd) (*Process, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("%s not started: %w", c.Path, err)
	}
	cmd, err := build(context.WithoutCancel(ctx), c)
	if err != nil {
		return nil, err
	}
	cmd.SysProcAttr.Setsid = true
	direct(cmd, c.Stdin, c.Stdout, c.Stderr)
	if err := cmd.Start(); err != nil {
		return nil, notStarted(c.Path, err)
	}
	p := &Process{Pid: cmd.Process.Pid, done: make(chan struct{})}
	go p.reap(cmd)
	return p, nil
}

// direct sets the streams only where there is a file: an interface that holds
// a nil *os.File is not nil.
func direct(cmd *exec.Cmd, stdin, stdout, stderr *os.File) {
	if stdin != nil {
		cmd.Stdin = stdin
	}
	if stdout != nil {
		cmd.Stdout = stdout
	}
	if stderr != nil {
		cmd.Stderr = stderr
	}
}

func (p *Process) reap(cmd *exec.Cmd) {
	p.err = ended(cmd.Wait())
	close(p.done)
}

func ended(err error) error {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return err
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	switch {
	case ok && status.Signal() == syscall.SIGKILL:
		return errKilled
	case ok && status.Signaled():
		return fmt.Errorf("ended by signal %d (%s)", int(status.Signal()), status.Signal())
	}
	return fmt.Errorf("exited with code %d", exit.ExitCode())
}

var errKilled = fmt.Errorf("ended by signal %d (%s)", int(syscall.SIGKILL), syscall.SIGKILL)

// WasKilled says whether an error of Exited means SIGKILL, which a program cannot send
// itself by mistake: an administrator has, or the kernel that is out of memory.
func WasKilled(how error) bool { return errors.Is(how, errKilled) }

// Done is closed once the program has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Exited says whether the program has ended, and how: nil for exit code 0.
func (p *Process) Exited() (bool, error) {
	select {
	case <-p.done:
		return true, p.err
	default:
		return false, nil
	}
}
