package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

const (
	// maxOutput caps what is kept of each output stream, in bytes.
	maxOutput = 8 << 20
	// lingering is how long a finished or killed program's output is still
	// waited for. A descendant that keeps the pipe open, as a server started
	// from here does, would otherwise hold us as long as it lives.
	lingering = time.Second
)

// ErrOutputTooLarge says that a program wrote more than is read from one.
// What it did write is not to be taken for all of it.
var ErrOutputTooLarge = errors.New("more output than 8 MiB")

// ErrNotRun says that a program told nothing, for reasons of the machine's and not of its
// own: it could not be started for want of memory, processes or open files, or was ended
// by a signal, as the kernel does that is out of memory. At another time it may come to its
// end. A program that is missing, may not be executed, or is none has no such error.
var ErrNotRun = errors.New("the program did not come to its end")

// notRun marks an error as ErrNotRun, and leaves it its words.
type notRun struct{ error }

func (e notRun) Is(target error) bool { return target == ErrNotRun }
func (e notRun) Unwrap() error        { return e.error }

// Cmd is a program to run.
type Cmd struct {
	Path string   // absolute; no PATH is ever searched and no shell asked
	Args []string // without the program's name
	User *User    // whose credentials it gets; nil for this process's own
	Env  []string // KEY=value, on top of the clean environment
	Dir  string   // "/" when empty

	// Stdin is read by a program of Start; otherwise, and where it is not set, there is
	// nothing to read.
	Stdin *os.File

	// Stdout and Stderr, when set, receive the output directly instead of the
	// Result. They are files because a server started by the program inherits
	// them, and a pipe would bind us to its life.
	Stdout, Stderr *os.File
}

// Result is what a program that ran to its end left behind.
type Result struct {
	Stdout, Stderr string
	Code           int // exit code, 0 to 255
}

// Run starts the program and waits for its end. An exit code other than zero
// is a Result, not an error. An error means that the program could not be
// started, was killed by a signal (see ErrNotRun), wrote too much, or had not ended
// when ctx did: then its whole process group is killed, and the error wraps ctx.Err().
// When this process is killed, so is the program, though not what it has started.
//
// The program gets a clean environment (LC_ALL=C, a fixed PATH, HOME, USER and
// LOGNAME of the user, and Env), /dev/null as input, and a process group of
// its own.
func Run(ctx context.Context, c Cmd) (Result, error) {
	if err := ctx.Err(); err != nil {
		return Result{}, fmt.Errorf("%s not started: %w", c.Path, err)
	}
	cmd, err := build(ctx, c)
	if err != nil {
		return Result{}, err
	}
	// The kernel sends this when the thread ends that started the program, and not
	// when the process does. So the thread is kept for it: it could become one that
	// AsUser changes, and that ends with its work.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	cmd.SysProcAttr.Setpgid = true
	cmd.Cancel = func() error { return killGroup(cmd.Process.Pid) }
	cmd.WaitDelay = lingering
	stdout, stderr := capture(&cmd.Stdout, c.Stdout), capture(&cmd.Stderr, c.Stderr)
	err = cmd.Run()
	result := Result{Stdout: stdout.String(), Stderr: stderr.String()}
	if cmd.ProcessState != nil {
		result.Code = cmd.ProcessState.ExitCode()
	}
	if err = outcome(ctx, cmd, err); err == nil && stdout.cut {
		err = fmt.Errorf("%s: %w", c.Path, ErrOutputTooLarge)
	}
	return result, err
}

// build prepares what Run and Start have in common.
func build(ctx context.Context, c Cmd) (*exec.Cmd, error) {
	if !filepath.IsAbs(c.Path) {
		return nil, fmt.Errorf("program %q: expected an absolute path", c.Path)
	}
	credential, err := credentialFor(c.User)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.Path, err)
	}
	cmd := exec.CommandContext(ctx, c.Path, c.Args...)
	cmd.Env = environment(c.User, c.Env)
	cmd.Dir = c.Dir
	if cmd.Dir == "" {
		cmd.Dir = "/"
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: credential}
	return cmd, nil
}

// outcome turns what os/exec says into Run's contract.
func outcome(ctx context.Context, cmd *exec.Cmd, err error) error {
	var exit *exec.ExitError
	switch {
	case err == nil, errors.Is(err, exec.ErrWaitDelay) && cmd.ProcessState.Exited():
		return nil
	case errors.As(err, &exit) && exit.Exited():
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("%s did not end in time and was killed: %w", cmd.Path, ctx.Err())
	case exit != nil && broken(exit):
		return fmt.Errorf("%s broke off: %w", cmd.Path, exit)
	case exit != nil:
		return notRun{fmt.Errorf("%s was ended from outside: %w", cmd.Path, exit)}
	}
	return notStarted(cmd.Path, err)
}

// broken says whether a program ended by a fault of its own, which it will have the next time.
func broken(exit *exec.ExitError) bool {
	status, ok := exit.Sys().(syscall.WaitStatus)
	return ok && slices.Contains([]syscall.Signal{syscall.SIGILL, syscall.SIGSEGV, syscall.SIGBUS, syscall.SIGSYS}, status.Signal())
}

// notStarted says why a program could not be started. What execve(2) says of the program
// itself is as true the next time; everything else is the machine's trouble.
func notStarted(path string, err error) error {
	said := fmt.Errorf("cannot run %s: %w", path, err)
	for _, lasting := range []error{
		syscall.ENOENT, syscall.ENOTDIR, syscall.ELOOP, syscall.ENAMETOOLONG, // it is missing
		syscall.EACCES, syscall.EPERM, syscall.ENOEXEC, syscall.EINVAL, syscall.EISDIR, syscall.ELIBBAD, // it is no program, or not for us
	} {
		if errors.Is(err, lasting) {
			return said
		}
	}
	return notRun{said}
}

// killGroup ends a program with all it started, unless they left its group.
func killGroup(pid int) error {
	err := syscall.Kill(-pid, syscall.SIGKILL)
	if errors.Is(err, syscall.ESRCH) {
		return os.ErrProcessDone
	}
	return err
}

// FirstLine is the first line of a program's output, for an error's text.
func FirstLine(output string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(output), "\n")
	return strings.TrimSpace(line)
}
