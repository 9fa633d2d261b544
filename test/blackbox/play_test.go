package blackbox

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

func agentUID() int { return os.Geteuid() }

// cmdServer starts a fake server, as somebody did before the agent was called: server standby|primary.
func cmdServer(w *world, args []string) error {
	signal := w.path("data", standbySignal)
	err := ignoreMissing(os.Remove(signal))
	if args[0] == "standby" {
		err = w.writeOwned(signal, "")
	}
	if err != nil {
		return err
	}
	if err := w.startAsUser("postgres", "-D", w.data()); err != nil {
		return err
	}
	return waitFor("the fake server to be ready", func() bool {
		text, err := os.ReadFile(w.path("data", pidFileName))
		return err == nil && strings.Contains(string(text), "\nready")
	})
}

// cmdBackend starts what a server leaves behind whose postmaster was killed.
func cmdBackend(w *world, _ []string) error {
	if err := w.startAsUser(backendTitle); err != nil {
		return err
	}
	return waitFor("the backend to run", func() bool { return len(w.serverPids()) > 0 })
}

// startAsUser starts the fake postgres in the data directory, under the name that is its first argument.
func (w *world) startAsUser(argv ...string) error {
	out, err := os.OpenFile(w.path("server.out"), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	cmd := &exec.Cmd{
		Path: w.path("bin", "postgres"), Args: argv, Env: []string{"LC_ALL=C"}, Dir: w.data(),
		Stdout: out, Stderr: out, SysProcAttr: &syscall.SysProcAttr{Setsid: true},
	}
	if w.uid() != agentUID() {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(w.uid()), Gid: uint32(number(w.user.Gid))}
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() { _ = cmd.Wait() }() // the script ends it, in whatever way
	return nil
}

func waitFor(what string, done func() bool) error {
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if done() {
			return nil
		}
	}
	return fmt.Errorf("waited 10 s for %s", what)
}

// serverPids are the fake server's processes that run.
func (w *world) serverPids() []int {
	text, err := os.ReadFile(w.servers())
	if err != nil {
		return nil
	}
	var pids []int
	for line := range strings.Lines(string(text)) {
		pid := number(line)
		exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
		if err == nil && strings.HasPrefix(exe, w.bin()+"/") {
			pids = append(pids, pid)
		}
	}
	return pids
}

// cmdCrash kills the fake server, and leaves all its files.
func cmdCrash(w *world, _ []string) error {
	if err := w.signalServers(syscall.SIGKILL); err != nil {
		return err
	}
	return waitFor("the fake server to be gone", func() bool { return len(w.serverPids()) == 0 })
}

// cmdFreeze stops the fake server, as a debugger or an administrator's kill -STOP would.
func cmdFreeze(w *world, _ []string) error { return w.signalServers(syscall.SIGSTOP) }

func (w *world) signalServers(signal syscall.Signal) error {
	pids := w.serverPids()
	if len(pids) == 0 {
		return errors.New("no fake server runs")
	}
	for _, pid := range pids {
		if err := syscall.Kill(pid, signal); err != nil {
			return err
		}
	}
	return nil
}

// endServers ends what is left of the fake servers when a script ends, and reaps those whose parent was the agent.
func (w *world) endServers() {
	for _, pid := range w.serverPids() {
		_ = syscall.Kill(pid, syscall.SIGKILL)
		_, _ = syscall.Wait4(pid, nil, 0, nil)
	}
}

func cmdRunning(w *world, _ []string) (bool, string, error) {
	pids := w.serverPids()
	return len(pids) > 0, fmt.Sprintf("processes of the fake server: %v", pids), nil
}
