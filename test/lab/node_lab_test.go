//go:build lab

package lab

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestNodes is about nodes, power, cables and fencing; no database is needed.
func TestNodes(t *testing.T) {
	cfg := bare("tnodes", 3)
	cfg.FenceReboot = -1
	// What the tests do by hand is not for Pacemaker to react to.
	cfg.Props = map[string]string{"maintenance-mode": "true"}
	l := upForTest(t, cfg)
	ctx := testContext(t)

	t.Run("exec", func(t *testing.T) { testExec(t, l) })
	t.Run("exec ends with its context", func(t *testing.T) { testExecBound(t, l) })
	t.Run("files", func(t *testing.T) { testFiles(t, l) })
	t.Run("syslog", func(t *testing.T) { testSyslog(t, l) })
	t.Run("measure", func(t *testing.T) { testMeasure(t, l) })
	t.Run("dial", func(t *testing.T) { testDial(t, l) })
	t.Run("cables", func(t *testing.T) { testCables(t, l) })
	t.Run("packet filter", func(t *testing.T) { testBlockPort(t, l) })
	t.Run("freeze", func(t *testing.T) { testFreeze(t, l) })
	t.Run("fencing can fail", func(t *testing.T) { testFencingFails(t, l) })
	t.Run("fencing can be slow", func(t *testing.T) { testFencingDelay(t, l) })
	t.Run("fencing kills and then answers", func(t *testing.T) { testFencingKills(t, l) })
	t.Run("a fenced node comes back", func(t *testing.T) { testReboot(t, l) })
	t.Run("power", func(t *testing.T) { testPower(t, l) })
	t.Run("stop and start of the cluster", func(t *testing.T) { testStopStart(t, l) })

	_, err := l.Exec(ctx, "n9", ExecOptions{}, "true")
	require.ErrorContains(t, err, "n1, n2, n3")
}

func testExec(t *testing.T, l *Lab) {
	ctx := testContext(t)
	res, err := l.Exec(ctx, "n2", ExecOptions{Stdin: strings.NewReader("in"), Env: []string{"X=y"}, Dir: "/tmp"},
		"sh", "-c", "cat; echo $X; pwd; hostname; echo err >&2; exit 7")
	require.NoError(t, err)
	require.Equal(t, Result{Stdout: "iny\n/tmp\nn2\n", Stderr: "err\n", Code: 7}, res)

	out, err := l.runAs(ctx, "n1", "postgres", "sh", "-c", "id -nu; id -nG; echo $HOME")
	require.NoError(t, err)
	require.Equal(t, "postgres\npostgres ssl-cert\n/var/lib/postgresql\n", out)
	out, err = l.Run(ctx, "n1", "readlink", "/proc/self/ns/pid", "/proc/1/ns/pid")
	require.NoError(t, err)
	f := strings.Fields(out)
	require.Equal(t, f[0], f[1], "it is not in the node's pid namespace")

	_, err = l.Run(ctx, "n1", "nosuchcommand")
	require.ErrorContains(t, err, "nosuchcommand is not in the node")
	_, err = l.Run(ctx, "n1", "sh", "-c", "echo why >&2; false")
	require.ErrorContains(t, err, "exit code 1: why")
	res, err = l.Exec(ctx, "n1", ExecOptions{}, "sh", "-c", "kill -9 $$")
	require.NoError(t, err)
	require.Equal(t, 137, res.Code)
}

func testExecBound(t *testing.T, l *Lab) {
	ctx, cancel := context.WithTimeout(testContext(t), 200*time.Millisecond)
	defer cancel()
	_, err := l.Exec(ctx, "n1", ExecOptions{}, "sh", "-c", "sleep 4321 & sleep 4321")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	all, err := l.processes("n1")
	require.NoError(t, err)
	for _, p := range all {
		require.NotContains(t, p.title, "4321")
	}
}

func testFiles(t *testing.T, l *Lab) {
	ctx := testContext(t)
	require.NoError(t, l.WriteFile("n1", "/var/run/deep/file", []byte("text"), 0o640, "postgres:haclient"))
	out, err := l.Run(ctx, "n1", "stat", "-c", "%U:%G %a", "/run/deep/file") // /var/run is a link to it
	require.NoError(t, err)
	require.Equal(t, "postgres:haclient 640\n", out)
	b, err := l.ReadFile("n1", "/run/deep/file")
	require.NoError(t, err)
	require.Equal(t, "text", string(b))
	require.False(t, exists("/run/deep"), "it is on the host")

	agent := filepath.Join(t.TempDir(), "agent")
	require.NoError(t, os.WriteFile(agent, []byte("#!/bin/sh\necho mine\n"), 0o755))
	require.NoError(t, l.InstallAgent(agent))
	for _, path := range []string{agentPath, commandPath} {
		out, err = l.Run(ctx, "n3", path)
		require.NoError(t, err)
		require.Equal(t, "mine\n", out)
	}
}

func testSyslog(t *testing.T, l *Lab) {
	ctx := testContext(t)
	_, err := l.Run(ctx, "n1", "logger", "-t", "tag", "said in the test")
	require.NoError(t, err)
	require.NoError(t, await(ctx, bound, 10*time.Millisecond, func() error {
		b, err := os.ReadFile(l.LogFile("n1", "/var/log/syslog"))
		if err == nil && !strings.Contains(string(b), "said in the test") {
			err = io.ErrUnexpectedEOF
		}
		return err
	}))
}

func testMeasure(t *testing.T, l *Lab) {
	ctx := testContext(t)
	// The loop burns CPU in an orphan, which has to be counted too.
	script := `(i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done) & exit 3`
	got, err := l.Measure(ctx, "n1", 2, false, nil, "sh", "-c", script)
	require.NoError(t, err)
	require.Len(t, got, 2)
	for _, s := range got {
		require.Equal(t, 3, s.Exit)
		require.Greater(t, s.CPU, 10*time.Millisecond)
		require.Less(t, s.Wall, s.CPU)
	}
	got, err = l.Measure(ctx, "n1", 1, true, []string{"X=/usr/bin/true"}, "sh", "-c", "$X; (id >/dev/null)")
	require.NoError(t, err)
	require.Equal(t, []string{"/usr/bin/sh", "/usr/bin/true", "/usr/bin/id"}, got[0].Programs)
	require.Greater(t, got[0].MaxRSS, 500)
}

// reach asks whether one machine can open a connection to another's ssh-like
// port where somebody listens.
func reach(t *testing.T, l *Lab, from, to string) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(testContext(t), 300*time.Millisecond)
	defer cancel()
	conn, err := l.Dialer(from)(ctx, "tcp", to)
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

// reachSoon allows for the moment that the kernel takes to notice a carrier.
func reachSoon(t *testing.T, l *Lab, from, to string) {
	t.Helper()
	require.NoError(t, await(testContext(t), bound, 10*time.Millisecond, func() error {
		if !reach(t, l, from, to) {
			return fmt.Errorf("%s does not reach %s", from, to)
		}
		return nil
	}))
}

// listen takes connections on a port in a node until the test ends.
func listen(t *testing.T, l *Lab, node, port string) {
	t.Helper()
	n, err := l.node(node)
	require.NoError(t, err)
	var ln net.Listener
	require.NoError(t, inNetns(network{l.plan.Config.Name}.ns(node), func() (err error) {
		ln, err = net.Listen("tcp", n.Addr+":"+port)
		return err
	}))
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
		}
	}()
}

func testDial(t *testing.T, l *Lab) {
	listen(t, l, "n1", "7001")
	require.True(t, reach(t, l, Client, "n1:7001"))
	require.True(t, reach(t, l, "n2", "10.77.0.11:7001"))
	conn, err := l.Dialer(Client)(testContext(t), "tcp", "n1:7001")
	require.NoError(t, err)
	defer conn.Close()
	require.Equal(t, clientAddr, conn.LocalAddr().(*net.TCPAddr).IP.String())
}

func testCables(t *testing.T, l *Lab) {
	ctx := testContext(t)
	listen(t, l, "n3", "7002")
	carrier := func() string {
		out, err := l.Run(ctx, "n3", "cat", "/sys/class/net/eth0/carrier")
		require.NoError(t, err)
		return strings.TrimSpace(out)
	}
	require.True(t, reach(t, l, "n1", "n3:7002"))

	require.NoError(t, l.Cut(ctx, "n3"))
	require.Equal(t, "0", carrier())
	require.False(t, reach(t, l, "n1", "n3:7002"))
	require.NoError(t, l.Heal(ctx, "n3"))
	reachSoon(t, l, "n1", "n3:7002")

	require.NoError(t, l.SilentCut(ctx, "n3"))
	require.Equal(t, "1", carrier())
	require.False(t, reach(t, l, "n1", "n3:7002"))
	require.NoError(t, l.Cut(ctx, "n3"), "one cut after the other")
	require.Equal(t, "0", carrier())
	p, err := l.Power(ctx)
	require.NoError(t, err)
	require.Equal(t, PowerState{Powered: true, Cut: "cut"}, p["n3"])
	require.NoError(t, l.Heal(ctx, "n3"))
	reachSoon(t, l, "n1", "n3:7002")
}

func testBlockPort(t *testing.T, l *Lab) {
	ctx := testContext(t)
	listen(t, l, "n1", "7003")
	listen(t, l, "n1", "7004")
	require.NoError(t, l.BlockPort(ctx, "n1", "n2", 7003))
	require.False(t, reach(t, l, "n2", "n1:7003"))
	require.True(t, reach(t, l, "n3", "n1:7003"), "another address")
	require.True(t, reach(t, l, "n2", "n1:7004"), "another port")
	require.NoError(t, l.BlockPort(ctx, "n1", "", 7004))
	require.False(t, reach(t, l, "n3", "n1:7004"))
	require.NoError(t, l.Unblock(ctx, "n1"))
	require.True(t, reach(t, l, "n2", "n1:7003"))
	require.True(t, reach(t, l, "n3", "n1:7004"))
	require.NoError(t, l.Unblock(ctx, "n1"), "nothing to unblock")

	require.NoError(t, l.Lose(ctx, "n3", 99))
	require.False(t, reach(t, l, "n3", "n1:7004"))
	require.NoError(t, l.Unblock(ctx, "n3"))
	reachSoon(t, l, "n3", "n1:7004")
	require.NoError(t, l.Lose(ctx, "n3", 1))
	reachSoon(t, l, "n3", "n1:7004")
	require.NoError(t, l.Unblock(ctx, "n3"))
	require.Error(t, l.Lose(ctx, "n3", 100))
}

func testFreeze(t *testing.T, l *Lab) {
	ctx := testContext(t)
	require.NoError(t, l.Freeze(ctx, "n3"))
	p, err := l.Power(ctx)
	require.NoError(t, err)
	require.True(t, p["n3"].Frozen)
	_, err = l.Run(ctx, "n3", "true")
	require.ErrorContains(t, err, "the node is frozen")
	require.NoError(t, l.Thaw(ctx, "n3"))
	_, err = l.Run(ctx, "n3", "true")
	require.NoError(t, err)
}

func fence(t *testing.T, l *Lab, by, action, victim string) Result {
	t.Helper()
	ctx := testContext(t)
	res, err := l.Exec(ctx, by, ExecOptions{Stdin: strings.NewReader("action=" + action + "\nport=" + victim + "\n")}, fenceAgent)
	require.NoError(t, err)
	return res
}

func fencings(t *testing.T, l *Lab) []Fencing {
	t.Helper()
	f, err := l.Fencings()
	require.NoError(t, err)
	return f
}

func testFencingFails(t *testing.T, l *Lab) {
	ctx := testContext(t)
	require.NoError(t, l.SetFencing(ctx, FencingMode{Fail: true}))
	res := fence(t, l, "n1", "off", "n2")
	require.NotZero(t, res.Code)
	require.Contains(t, res.Stderr, "refuse")
	_, err := l.Run(ctx, "n2", "true")
	require.NoError(t, err, "the victim lives")
	last := fencings(t, l)[0]
	require.Equal(t, "n2 by n1 off", last.Victim+" by "+last.By+" "+last.Action)
	require.Contains(t, last.Error, "refuse")
	require.NoError(t, l.SetFencing(ctx, FencingMode{}))
}

func testFencingDelay(t *testing.T, l *Lab) {
	ctx := testContext(t)
	require.NoError(t, l.SetFencing(ctx, FencingMode{Delay: 30 * time.Second}))
	short, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	_, err := l.Exec(short, "n1", ExecOptions{Stdin: strings.NewReader("action=off\nport=n2\n")}, fenceAgent)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NoError(t, await(ctx, bound, 10*time.Millisecond, func() error {
		if f := fencings(t, l); !strings.Contains(f[len(f)-1].Error, "is gone") {
			return io.ErrUnexpectedEOF
		}
		return nil
	}), "a killed fence agent asks for nothing any more")
	_, err = l.Run(ctx, "n2", "true")
	require.NoError(t, err, "the victim lives")
	require.NoError(t, l.SetFencing(ctx, FencingMode{}))
}

func testFencingKills(t *testing.T, l *Lab) {
	ctx := testContext(t)
	before := len(fencings(t, l))
	// A frozen node is the hardest to kill: its processes do not take signals.
	require.NoError(t, l.Freeze(ctx, "n3"))
	all, err := l.processes("n3")
	require.NoError(t, err)
	require.NotEmpty(t, all)
	require.Zero(t, fence(t, l, "n1", "reboot", "n3").Code)
	for _, p := range all {
		require.ErrorIs(t, unix.Kill(p.pid, 0), unix.ESRCH, "%s lives after the answer", p.title)
	}
	require.Len(t, fencings(t, l), before+1)
	require.Equal(t, 2, fence(t, l, "n1", "status", "n3").Code)
	require.Equal(t, 0, fence(t, l, "n1", "status", "n2").Code)
	require.Zero(t, fence(t, l, "n1", "on", "n3").Code)
	_, err = l.Run(ctx, "n3", "true")
	require.NoError(t, err)
	require.NotZero(t, fence(t, l, "n1", "off", "n9").Code)
}

func testReboot(t *testing.T, l *Lab) {
	ctx := testContext(t)
	require.NoError(t, l.SetFencing(ctx, FencingMode{Reboot: 300 * time.Millisecond}))
	start := time.Now()
	require.Zero(t, fence(t, l, "n1", "reboot", "n2").Code)
	require.NoError(t, await(ctx, bound, 10*time.Millisecond, func() error {
		_, err := l.Run(ctx, "n2", "true")
		return err
	}))
	require.Greater(t, time.Since(start), 300*time.Millisecond)
	// It starts its cluster by itself; the others may not even have missed it yet.
	require.NoError(t, await(ctx, bound, 200*time.Millisecond, func() error {
		c, err := l.clusterStatus(ctx, "n2")
		if err == nil && (len(c.Online) != 3 || c.DCState != "S_IDLE") {
			err = fmt.Errorf("n2 sees %v online and the DC in %s", c.Online, c.DCState)
		}
		return err
	}))
	require.NoError(t, l.SetFencing(ctx, FencingMode{Reboot: -1}))
}

func testPower(t *testing.T, l *Lab) {
	ctx := testContext(t)
	listen(t, l, "n3", "7005")
	conn, err := l.Dialer(Client)(ctx, "tcp", "n3:7005")
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, l.WriteFile("n3", "/root/kept", nil, 0o600, ""))
	require.NoError(t, l.WriteFile("n3", "/tmp/lost", nil, 0o600, ""))

	require.NoError(t, l.KillNode(ctx, "n3"))
	require.NoError(t, l.KillNode(ctx, "n3"), "twice is no error")
	_, err = l.Run(ctx, "n3", "true")
	require.ErrorContains(t, err, "n3 has no power")
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(200*time.Millisecond)))
	_, err = io.Copy(new(bytes.Buffer), conn)
	require.ErrorIs(t, err, os.ErrDeadlineExceeded, "the dead node has said something")

	require.NoError(t, l.Cut(ctx, "n3"), "the cable of a dead node")
	require.NoError(t, l.BootBare(ctx, "n3"))
	_, err = l.Run(ctx, "n3", "test", "-e", "/root/kept", "-a", "!", "-e", "/tmp/lost")
	require.NoError(t, err)
	out, err := l.Run(ctx, "n3", "cat", "/sys/class/net/eth0/carrier")
	require.NoError(t, err)
	require.Equal(t, "0\n", out, "a cut cable stays cut")
	require.NoError(t, l.Heal(ctx, "n3"))
	require.NoError(t, l.StartCluster(ctx, "n3"))
	require.NoError(t, l.awaitCluster(ctx))
}

func testStopStart(t *testing.T, l *Lab) {
	ctx := testContext(t)
	before := len(fencings(t, l))
	require.NoError(t, l.StopCluster(ctx, "n2"))
	require.NoError(t, l.StopCluster(ctx, "n2"), "twice is no error")
	require.NoError(t, l.StartCluster(ctx, "n2"))
	require.NoError(t, l.awaitCluster(ctx))
	require.Len(t, fencings(t, l), before, "a clean stop needs no fencing")
}
