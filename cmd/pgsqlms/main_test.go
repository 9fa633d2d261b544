package main

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Without an argument the program is an alert agent where Pacemaker says so, and a
// resource agent without an action (3) where somebody has set a variable of OCF; with one,
// Pacemaker's action. A person at a shell has mistyped a command (2).
func TestWhoIsCalled(t *testing.T) {
	ran := func(args []string, environ ...string) (int, string) {
		var out, errout bytes.Buffer
		code := run(args, environ, &out, &errout)
		return code, out.String() + errout.String()
	}
	alert := []string{"CRM_alert_version=2.1.5", "CRM_alert_kind=node", "CRM_alert_desc=lost"}
	code, said := ran(nil, alert...)
	assert.Zero(t, code)
	assert.Empty(t, said, "an event that is no promotion")
	for _, ocf := range []string{"OCF_RESOURCE_INSTANCE=pgsqld:0", "OCF_RA_VERSION_MAJOR=1", "OCF_ROOT=/usr/lib/ocf"} {
		for _, args := range [][]string{nil, {"nonsense"}} {
			code, said = ran(args, ocf)
			assert.Equal(t, 3, code)
			assert.Contains(t, said, "unknown action")
		}
	}
	for _, args := range [][]string{nil, {""}, {"stauts"}, {"stauts", "--watch"}} {
		code, said = ran(args, "PATH=/usr/bin")
		assert.Equal(t, 2, code)
		assert.Contains(t, said, "expected one of status, history, ")
		assert.Contains(t, said, "to do: pgsqlms --help")
		assert.Equal(t, 1, strings.Count(said, "\n"))
	}
	code, said = ran([]string{"methods"})
	assert.Zero(t, code, "an action is one, whoever gives it")
	assert.Contains(t, said, "promote")
	code, said = ran([]string{"explain", "--help"})
	assert.Zero(t, code)
	assert.Contains(t, said, "pgsqlms explain n3")
}

// The first signal ends the context, the second what stands still all the same, and the
// third the process. This is run again in a process that can be lost.
func TestSignals(t *testing.T) {
	const lost = "PGSQLMS_TEST_SIGNALS"
	if os.Getenv(lost) != "" {
		ctx, again, _ := interruptible()
		os.Stdout.WriteString("ready\n")
		<-ctx.Done()
		os.Stdout.WriteString("once\n")
		<-again
		os.Stdout.WriteString("twice\n")
		select {}
	}
	child := exec.Command(os.Args[0], "-test.run=^TestSignals$")
	child.Env = append(os.Environ(), lost+"=1")
	out, err := child.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, child.Start())
	defer child.Process.Kill()
	said := make(chan string)
	go func() {
		defer close(said)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			said <- lines.Text()
		}
	}()
	require.Equal(t, "ready", <-said)
	require.NoError(t, child.Process.Signal(syscall.SIGHUP))
	require.Equal(t, "once", <-said)
	require.NoError(t, child.Process.Signal(syscall.SIGHUP))
	select {
	case line := <-said:
		t.Fatalf("a terminal that is lost sends it twice: %s", line)
	case <-time.After(200 * time.Millisecond):
	}
	require.NoError(t, child.Process.Signal(syscall.SIGQUIT))
	require.Equal(t, "twice", <-said)
	require.NoError(t, child.Process.Signal(syscall.SIGTERM))
	_, more := <-said
	require.False(t, more)
	var ended *exec.ExitError
	require.ErrorAs(t, child.Wait(), &ended)
	require.Equal(t, syscall.SIGTERM, ended.Sys().(syscall.WaitStatus).Signal())
}
