// Command pgsqlms is the resource agent ocf:heartbeat:pgsqlms: Pacemaker runs it with
// an action as its only argument, and all else in the environment.
package main

import (
	"context"
	"io"
	"os"
	"syscall"
	"time"

	"pgsqlms/internal/agent"
)

func main() {
	os.Exit(run(os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
}

func run(args, environ []string, stdout, stderr io.Writer) int {
	return int(agent.Run(context.Background(), agent.Process{
		Args: args, Environ: environ, Stdout: stdout, Stderr: stderr,
		Terminal: isTerminal(stderr), Started: time.Now(), Version: version(),
	}))
}

// The device numbers of terminals: consoles and serial lines, /dev/tty, and the slaves
// of pseudo-terminals (Linux, Documentation/admin-guide/devices.txt).
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return false
	}
	major := stat.Rdev >> 8 & 0xfff
	return major == 4 || major == 5 || (major >= 136 && major <= 143)
}
