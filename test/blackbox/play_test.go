package blackbox

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

func agentUID() int { return os.Geteuid() }

// cmdServer starts a fake server, as somebody did before the agent was called: server standby|primary.
func cmdServer(w *world, args []string) error { return w.startServer(args[0], w.data()) }

func (w *world) startServer(role, dir string) error {
	signal := filepath.Join(dir, standbySignal)
	err := ignoreMissing(os.Remove(signal))
	if role == "standby" {
		err = w.writeOwned(signal, "")
	}
	if err != nil {
		return err
	}
	if err := w.startAsUser(w.bin()+"/postgres", "postgres", "-D", dir); err != nil {
		return err
	}
	return waitFor("the fake server to be ready", func() bool {
		text, err := os.ReadFile(filepath.Join(dir, pidFileName))
		return err == nil && strings.Contains(string(text), "\nready")
	})
}

// cmdOther starts a fake server of another data directory, of the same user: other standby|primary PORT.
func cmdOther(w *world, args []string) error {
	dir := w.path("other")
	if err := errors.Join(w.makeInstance(dir, args[1]), w.own(dir)); err != nil {
		return err
	}
	return w.startServer(args[0], dir)
}

// cmdBackend starts what a server leaves behind whose postmaster was killed.
func cmdBackend(w *world, _ []string) error {
	if err := w.startAsUser(w.bin()+"/postgres", backendTitle); err != nil {
		return err
	}
	return waitFor("the backend to run", func() bool { return slices.Contains(w.serverPids(), w.bystander.Pid) })
}

// cmdMovedIn leaves a postmaster.pid as after a reboot: its process ID has become that of another program, which even
// works in the data directory.
func cmdMovedIn(w *world, _ []string) error {
	if err := w.startAsUser("/bin/sleep", "sleep", "120"); err != nil {
		return err
	}
	text := fmt.Sprintf("%d\n%s\n0\n5432\n%s\n\n\nready\n", w.bystander.Pid, w.data(), w.sockets())
	return w.writeOwned(w.path("data", pidFileName), text)
}

// cmdBystander looks whether that program still runs.
func cmdBystander(w *world, _ []string) (bool, string, error) {
	exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", w.bystander.Pid))
	return err == nil, fmt.Sprintf("process %d: %q", w.bystander.Pid, exe), nil
}

// startAsUser starts a program in the data directory, under the name that is its first argument.
func (w *world) startAsUser(path string, argv ...string) error {
	out, err := os.OpenFile(w.path("server.out"), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	cmd := &exec.Cmd{
		Path: path, Args: argv, Env: []string{"LC_ALL=C"}, Dir: w.data(),
		Stdout: out, Stderr: out, SysProcAttr: &syscall.SysProcAttr{Setsid: true},
	}
	if w.uid() != agentUID() {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(w.uid()), Gid: uint32(number(w.user.Gid))}
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	w.bystander = cmd.Process
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
func cmdFreeze(w *world, _ []string) error {
	if err := w.signalServers(syscall.SIGSTOP); err != nil {
		return err
	}
	return waitFor("the fake server to be stopped", func() bool {
		for _, pid := range w.serverPids() {
			status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
			if err != nil || !strings.Contains(string(status), "State:\tT") {
				return false
			}
		}
		return true
	})
}

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

// endAll ends what is left of the fakes when a script ends: servers, and tools whose agent was killed.
func (w *world) endAll() {
	if w.bystander != nil {
		_ = w.bystander.Kill()
	}
	for pid := range w.processes(w.bin(), w.sbin()) {
		_ = syscall.Kill(pid, syscall.SIGKILL)
		_, _ = syscall.Wait4(pid, nil, 0, nil) // those whose parent was the agent are ours by now
	}
}

// processes are those that run a program from one of the directories.
func (w *world) processes(dirs ...string) map[int]string {
	links, err := filepath.Glob("/proc/[0-9]*/exe")
	if err != nil {
		return nil
	}
	found := map[int]string{}
	for _, link := range links {
		if exe, err := os.Readlink(link); err == nil && slices.Contains(dirs, filepath.Dir(exe)) {
			found[number(filepath.Base(filepath.Dir(link)))] = exe
		}
	}
	return found
}

func cmdRunning(w *world, _ []string) (bool, string, error) {
	pids := w.serverPids()
	return len(pids) > 0, fmt.Sprintf("processes of the fake server: %v", pids), nil
}
