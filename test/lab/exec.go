package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ExecOptions are the conditions under which a command runs in a node.
type ExecOptions struct {
	User  string // "root"
	Stdin io.Reader
	Env   []string // added to a small clean environment
	Dir   string   // "/"
	// Stdout and Stderr take the output instead of Result.
	Stdout, Stderr io.Writer
	// Terminal leaves the command in this process's session, for a person's shell.
	Terminal bool
}

// Result is how a command in a node ended.
type Result struct {
	Stdout, Stderr string
	Code           int // 128 and the signal's number when it was killed by one
}

// Exec runs argv in a node: in its namespaces, its root and its cgroup, so that
// it dies with the node. A non-zero exit code is not an error. When ctx ends,
// the command's process group is killed.
func (l *Lab) Exec(ctx context.Context, node string, o ExecOptions, argv ...string) (Result, error) {
	if len(argv) == 0 {
		return Result{}, errors.New("exec: no command given")
	}
	pid, err := l.initPid(node)
	if err != nil {
		return Result{}, err
	}
	cg, err := nodeCgroup(l.plan, node).open()
	if err != nil {
		return Result{}, fmt.Errorf("exec on %s: %w", node, err)
	}
	defer cg.Close()

	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	var stdout, stderr bytes.Buffer
	cmd.Stdin = o.Stdin
	cmd.Stdout, cmd.Stderr = writerOr(o.Stdout, &stdout), writerOr(o.Stderr, &stderr)
	def(&o.Dir, "/")
	cmd.Dir = o.Dir
	cmd.Env = append(nodeEnv(), o.Env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(cg.Fd()), Setpgid: !o.Terminal}
	cmd.WaitDelay = 2 * time.Second // for what the command left running with its output open
	if !o.Terminal {
		cmd.Cancel = func() error { return unix.Kill(-cmd.Process.Pid, unix.SIGKILL) }
	}
	err = l.startIn(pid, node, cmd, o.User)
	if err != nil {
		return Result{}, fmt.Errorf("exec on %s: %w", node, err)
	}
	err = cmd.Wait()
	res := Result{Stdout: stdout.String(), Stderr: stderr.String(), Code: exitCode(cmd.ProcessState)}
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return res, fmt.Errorf("exec on %s: %s did not end: %w", node, strings.Join(argv, " "), context.Cause(ctx))
	case err == nil, errors.As(err, &exit), errors.Is(err, exec.ErrWaitDelay):
		return res, nil
	}
	return res, fmt.Errorf("exec on %s: %w", node, err)
}

// freezeGate is held while a command starts, and while a node is being frozen.
// A process that starts right in a frozen cgroup stands still before its exec,
// and until it goes on this whole program can start no other.
var freezeGate sync.RWMutex

func (l *Lab) startIn(pid int, node string, cmd *exec.Cmd, user string) error {
	freezeGate.RLock()
	defer freezeGate.RUnlock()
	if nodeCgroup(l.plan, node).frozen() {
		return errors.New("the node is frozen")
	}
	return inNamespacesOf(pid, func() error {
		if err := lookInNode(cmd, cmd.Args[0]); err != nil {
			return err
		}
		if err := becomeUser(cmd, user); err != nil {
			return err
		}
		return cmd.Start()
	})
}

// Run is Exec as root with an error for a non-zero exit code, which has what the
// command wrote.
func (l *Lab) Run(ctx context.Context, node string, argv ...string) (string, error) {
	return l.runAs(ctx, node, "root", argv...)
}

// runAs is Run as another user of the node.
func (l *Lab) runAs(ctx context.Context, node, user string, argv ...string) (string, error) {
	res, err := l.Exec(ctx, node, ExecOptions{User: user}, argv...)
	if err == nil && res.Code != 0 {
		err = fmt.Errorf("on %s, %s: exit code %d: %s", node, strings.Join(argv, " "), res.Code, strings.TrimSpace(res.Stderr+res.Stdout))
	}
	return res.Stdout, err
}

// initPid is the node's process 1 as the host numbers it. A number that is not
// in the node's cgroup any more belongs to somebody else.
func (l *Lab) initPid(node string) (int, error) {
	if _, err := l.node(node); err != nil {
		return 0, err
	}
	off := fmt.Errorf("%s has no power", node)
	b, err := os.ReadFile(initPidFile(l.dir, node))
	if err != nil {
		return 0, off
	}
	pid, err := strconv.Atoi(string(b))
	if err != nil {
		return 0, fmt.Errorf("%s: %w", initPidFile(l.dir, node), err)
	}
	pids, err := nodeCgroup(l.plan, node).pids()
	if err != nil {
		return 0, off
	}
	for _, p := range pids {
		if p == pid {
			return pid, nil
		}
	}
	return 0, off
}

// lookInNode finds the command on the node's path: it is called on a thread
// that sees the node's files.
func lookInNode(cmd *exec.Cmd, name string) error {
	cmd.Err = nil // what the lookup on the host found is of no interest
	cmd.Path = name
	if strings.Contains(name, "/") {
		return nil
	}
	path, _ := strings.CutPrefix(nodeEnv()[0], "PATH=")
	for dir := range strings.SplitSeq(path, ":") {
		if unix.Access(dir+"/"+name, unix.X_OK) == nil {
			cmd.Path = dir + "/" + name
			return nil
		}
	}
	return fmt.Errorf("command %s is not in the node", name)
}

// becomeUser sets the credentials of a user of the node, with its other groups.
func becomeUser(cmd *exec.Cmd, name string) error {
	if name == "" || name == "root" {
		return nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		return err
	}
	cred := &syscall.Credential{Uid: uint32(atoi(u.Uid)), Gid: uint32(atoi(u.Gid))}
	groups, err := u.GroupIds()
	if err != nil {
		return err
	}
	for _, g := range groups {
		cred.Groups = append(cred.Groups, uint32(atoi(g)))
	}
	cmd.SysProcAttr.Credential = cred
	cmd.Env = append(cmd.Env, "HOME="+u.HomeDir, "USER="+name, "LOGNAME="+name)
	return nil
}

func exitCode(st *os.ProcessState) int {
	if st == nil {
		return -1
	}
	if ws, ok := st.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return st.ExitCode()
}

func writerOr(w io.Writer, or io.Writer) io.Writer {
	if w != nil {
		return w
	}
	return or
}
