package lab

import (
	"fmt"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// traceOnce runs a command under ptrace, to see each program that it or a
// descendant executes, and how large each process was when it ended. The peak
// that the kernel tells of a child that has ended begins with that of whoever
// made it: Go's children share its memory until their exec (vfork), and what a
// process had before an exec counts.
func traceOnce(path string, argv []string) (Sample, error) {
	runtime.LockOSThread() // a tracer is a thread
	defer runtime.UnlockOSThread()
	p, err := startQuiet(path, argv, &unix.SysProcAttr{Ptrace: true})
	if err != nil {
		return Sample{}, err
	}
	var ws unix.WaitStatus
	if _, err := unix.Wait4(p.Pid, &ws, 0, nil); err != nil { // stopped in its first exec
		return Sample{}, fmt.Errorf("tracing: %w", err)
	}
	const options = unix.PTRACE_O_TRACEFORK | unix.PTRACE_O_TRACEVFORK | unix.PTRACE_O_TRACECLONE |
		unix.PTRACE_O_TRACEEXEC | unix.PTRACE_O_TRACEEXIT | unix.PTRACE_O_EXITKILL
	if err := unix.PtraceSetOptions(p.Pid, options); err != nil {
		return Sample{}, fmt.Errorf("tracing: %w", err)
	}
	s := Sample{Programs: []string{path}}
	if err := unix.PtraceCont(p.Pid, 0); err != nil {
		return s, fmt.Errorf("tracing: %w", err)
	}
	seen := map[int]bool{p.Pid: true}
	for {
		pid, err := unix.Wait4(-1, &ws, unix.WALL, nil)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.ECHILD:
			return s, nil
		case err != nil:
			return s, err
		}
		if !ws.Stopped() {
			if pid == p.Pid {
				s.Exit = shellStatus(ws)
			}
			continue
		}
		switch ws.TrapCause() {
		case unix.PTRACE_EVENT_FORK, unix.PTRACE_EVENT_VFORK: // the kernel calls the making of a thread a clone
			s.Forks++
		case unix.PTRACE_EVENT_EXEC:
			exe, _ := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
			s.Programs = append(s.Programs, exe)
		case unix.PTRACE_EVENT_EXIT: // it still has its memory
			s.MaxRSS = max(s.MaxRSS, peakOf(pid))
		}
		// It may have been killed in between, which the next wait tells.
		_ = unix.PtraceCont(pid, signalToPass(ws, !seen[pid]))
		seen[pid] = true
	}
}

// peakOf is the largest resident size that a process has had since its exec, in
// KiB; 0 when it is gone.
func peakOf(pid int) int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			return atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")))
		}
	}
	return 0
}

// signalToPass is the signal that a stopped process is to receive: none for a
// stop that only tracing made, which includes the first one of a new process.
func signalToPass(ws unix.WaitStatus, fresh bool) int {
	sig := ws.StopSignal()
	if sig == unix.SIGTRAP || (fresh && sig == unix.SIGSTOP) {
		return 0
	}
	return int(sig)
}
