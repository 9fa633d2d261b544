package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Sandbox describes a throw-away machine without a cluster: the tree's root
// under a layer in memory, and a network that has only its loopback.
type Sandbox struct {
	Suite  string // "bookworm"
	Binds  []Bind // directories and files of the host to be seen in there
	Dir    string // "/"
	Env    []string
	Stdin  io.Reader
	Stdout io.Writer
	Stderr io.Writer
	// Progress, which may be nil, is told of the making of the tree.
	Progress func(string)
}

type sandboxSpec struct {
	Root root
	Dir  string
	Env  []string
	Argv []string
}

// RunInTree runs argv as root in a throw-away machine and returns its exit
// code. Everything that argv leaves behind is gone when it ends, and also when
// this program is killed.
func RunInTree(ctx context.Context, s Sandbox, argv ...string) (int, error) {
	if len(argv) == 0 {
		return 0, errors.New("sandbox: no command given")
	}
	def(&s.Suite, DefaultSuite)
	if missing := sandboxRequirements(treeDir(s.Suite, nil)); len(missing) > 0 {
		return 0, requirementsError(missing)
	}
	def(&s.Dir, "/")
	tree, err := Tree(ctx, s.Suite, s.Progress)
	if err != nil {
		return 0, err
	}
	at := filepath.Join(cacheRoot(), "mnt")
	if err := os.MkdirAll(at, 0o755); err != nil {
		return 0, err
	}
	return runSandbox(ctx, s, sandboxSpec{
		Root: root{Tree: tree, At: at, Hostname: "sandbox", Binds: s.Binds},
		Dir:  s.Dir,
		Env:  append(nodeEnv(), s.Env...),
		Argv: argv,
	})
}

func runSandbox(ctx context.Context, s Sandbox, spec sandboxSpec) (int, error) {
	text, err := json.Marshal(spec)
	if err != nil {
		return 0, err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	defer r.Close()
	cmd := exec.CommandContext(ctx, "/proc/self/exe", cmdSandbox)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = s.Stdin, s.Stdout, s.Stderr
	cmd.ExtraFiles = []*os.File{r}
	cmd.Env = nodeEnv()
	cmd.WaitDelay = 2 * time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC | syscall.CLONE_NEWNET,
		Pdeathsig:  syscall.SIGKILL,
	}
	runtime.LockOSThread() // Pdeathsig is about the thread that started the child
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		w.Close()
		return 0, fmt.Errorf("sandbox: %w", err)
	}
	_, werr := w.Write(text)
	w.Close()
	err = cmd.Wait()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return -1, fmt.Errorf("sandbox: %s did not end: %w", spec.Argv[0], context.Cause(ctx))
	case werr != nil:
		return -1, fmt.Errorf("sandbox: %w", werr)
	case err == nil, errors.As(err, &exit), errors.Is(err, exec.ErrWaitDelay):
		return exitCode(cmd.ProcessState), nil
	}
	return -1, fmt.Errorf("sandbox: %w", err)
}

// sandboxMain is process 1 of the sandbox: it makes the root, runs the command,
// reaps, and ends with the command's exit code.
func sandboxMain() (int, error) {
	var spec sandboxSpec
	in := os.NewFile(3, "spec")
	if err := json.NewDecoder(in).Decode(&spec); err != nil {
		return 1, err
	}
	in.Close()
	if err := spec.Root.enterInMemory(); err != nil {
		return 1, err
	}
	if err := loopbackUp(); err != nil {
		return 1, err
	}
	signal.Ignore(unix.SIGINT, unix.SIGHUP)
	cmd := &exec.Cmd{Path: spec.Argv[0], Args: spec.Argv, Env: spec.Env, Dir: spec.Dir}
	if err := lookInNode(cmd, spec.Argv[0]); err != nil {
		return 127, err
	}
	p, err := os.StartProcess(cmd.Path, cmd.Args, &os.ProcAttr{Dir: cmd.Dir, Env: cmd.Env, Files: []*os.File{os.Stdin, os.Stdout, os.Stderr}})
	if err != nil {
		return 127, err
	}
	return reapUntil(p.Pid), nil
}

// reapUntil waits for all children, as process 1 must, until pid ends.
func reapUntil(pid int) int {
	for {
		var ws unix.WaitStatus
		got, err := unix.Wait4(-1, &ws, 0, nil)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return 1
		case got == pid && ws.Signaled():
			return 128 + int(ws.Signal())
		case got == pid && ws.Exited():
			return ws.ExitStatus()
		}
	}
}

// enterInMemory is enter with a writable layer that needs no directory of the
// host: a file system in memory, which nobody else sees, over At.
func (r root) enterInMemory() error {
	if err := mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	if err := mount("tmpfs", r.At, "tmpfs", 0, "mode=0755"); err != nil {
		return err
	}
	base := r.At
	r.Upper, r.Work, r.At = base+"/upper", base+"/work", base+"/root"
	for _, d := range []string{r.Upper, r.Work, r.At} {
		if err := os.Mkdir(d, 0o755); err != nil {
			return err
		}
	}
	return r.enter()
}

func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	req, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	req.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, req); err != nil {
		return fmt.Errorf("bringing up the loopback: %w", err)
	}
	if _, err := net.InterfaceByName("lo"); err != nil {
		return err
	}
	return nil
}
