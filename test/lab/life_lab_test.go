//go:build lab

package lab

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// bound is for what takes seconds when all is well.
const bound = 2 * time.Minute

func testContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// bare is a lab without PostgreSQL resources, which is up sooner.
func bare(name string, nodes int) Config {
	return Config{Name: name, Nodes: nodes, NoResources: true, DCDeadtime: time.Second, NoSync: true}
}

func upForTest(t *testing.T, cfg Config) *Lab {
	t.Helper()
	ctx := testContext(t)
	require.NoError(t, Down(ctx, cfg.Name)) // of a run that was killed
	l, err := Up(ctx, cfg, func(s string) { t.Log(s) })
	require.NoError(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			if dir, err := l.saveLogs(); err == nil {
				t.Log("logs: ", dir)
			}
		}
		require.NoError(t, Down(context.Background(), cfg.Name))
	})
	return l
}

// leftovers lists all that a lab of this name could leave on the host.
func leftovers(t *testing.T, name string) []string {
	t.Helper()
	var found []string
	found = append(found, glob(filepath.Join(netnsDir, "pgsqlms-"+name+"-*"))...)
	cg, err := cgroupDir(name)
	require.NoError(t, err)
	found = append(found, glob(cg, stateDir(name), filepath.Join(stateRoot(), "."+name+".*"))...)
	mounts, err := os.ReadFile("/proc/self/mounts")
	require.NoError(t, err)
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, stateDir(name)+"/") || strings.Contains(line, "pgsqlms-"+name+"-") {
			found = append(found, line)
		}
	}
	for _, p := range glob("/proc/[0-9]*/cmdline") {
		title, err := os.ReadFile(p)
		if err == nil && strings.Contains(string(title), stateDir(name)+"/") {
			found = append(found, p+" "+string(title))
		}
	}
	return found
}

func TestUpDownLeavesNothing(t *testing.T) {
	ctx := testContext(t)
	l := upForTest(t, bare("tud", 2))
	require.NotEmpty(t, leftovers(t, "tud"))
	require.NoError(t, l.Down(ctx))
	require.Empty(t, leftovers(t, "tud"))
	require.NoError(t, Down(ctx, "tud"), "taking down nothing is a success")
	_, err := Open("tud")
	require.ErrorContains(t, err, "no lab is up")
}

func TestSecondUpOfTheSameNameIsRefused(t *testing.T) {
	l := upForTest(t, bare("tsame", 1))
	_, err := Up(testContext(t), bare("tsame", 1), nil)
	require.ErrorContains(t, err, "is there already")
	_, err = l.Run(testContext(t), "n1", "true")
	require.NoError(t, err, "the refusal has touched the first")
}

func TestTwoLabsSideBySide(t *testing.T) {
	var labs [2]*Lab
	var wg sync.WaitGroup
	for i := range labs {
		cfg := bare(fmt.Sprintf("tside%d", i), 2)
		require.NoError(t, Down(testContext(t), cfg.Name))
		t.Cleanup(func() { require.NoError(t, Down(context.Background(), cfg.Name)) })
		wg.Go(func() {
			var err error
			labs[i], err = Up(testContext(t), cfg, nil)
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	require.False(t, t.Failed())
	ctx := testContext(t)
	require.NoError(t, labs[0].WriteFile("n1", "/root/mark", []byte("0"), 0o600, ""))
	_, err := labs[1].ReadFile("n1", "/root/mark")
	require.ErrorIs(t, err, os.ErrNotExist)
	require.NoError(t, labs[0].Down(ctx))
	require.NoError(t, labs[1].clusterComplete(ctx), "the other lab lives on")
}

func TestDownWithoutPowerSwitch(t *testing.T) {
	l := upForTest(t, bare("tnosw", 2))
	pids, err := cgroup(filepath.Join(l.plan.Cgroup, "powerd")).pids()
	require.NoError(t, err)
	require.Len(t, pids, 1)
	require.NoError(t, unix.Kill(pids[0], unix.SIGKILL))
	require.NoError(t, l.Down(testContext(t)))
	require.Empty(t, leftovers(t, "tnosw"))
}

func TestInterruptedUpCleansUp(t *testing.T) {
	for _, step := range []string{"nodes", "PostgreSQL", "corosync"} {
		ctx, cancel := context.WithCancel(testContext(t))
		_, err := Up(ctx, bare("tint", 2), func(s string) {
			if strings.HasPrefix(s, step) {
				cancel()
			}
		})
		cancel()
		require.ErrorIs(t, err, context.Canceled)
		require.Empty(t, leftovers(t, "tint"), "after %s", step)
	}
}

// TestKilledUp kills a program that brings up a lab, at several moments.
func TestKilledUp(t *testing.T) {
	if name := os.Getenv("LAB_TEST_KILLED_UP"); name != "" {
		_, err := Up(context.Background(), bare(name, 2), func(s string) { fmt.Println("step", s) })
		require.NoError(t, err)
		return
	}
	for _, at := range []string{"", "step nodes", "step PostgreSQL", "step corosync"} {
		cmd := exec.Command("/proc/self/exe", "-test.run=^TestKilledUp$", "-test.v")
		cmd.Env = append(os.Environ(), "LAB_TEST_KILLED_UP=tkill")
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		if at == "" { // as soon as there is anything at all
			require.NoError(t, await(testContext(t), bound, time.Millisecond, func() error {
				_, err := os.Stat(filepath.Join(netnsDir, network{"tkill"}.ns("n1")))
				return err
			}))
		} else {
			var seen bytes.Buffer
			buf := make([]byte, 4096)
			for !strings.Contains(seen.String(), at) {
				n, err := out.Read(buf)
				require.NoError(t, err, seen.String())
				seen.Write(buf[:n])
			}
		}
		require.NoError(t, cmd.Process.Kill())
		_ = cmd.Wait() // it was killed
		require.NotEmpty(t, leftovers(t, "tkill"))
		require.NoError(t, Down(testContext(t), "tkill"))
		require.Empty(t, leftovers(t, "tkill"), "killed at %q", at)
	}
}

func TestFailedUpTellsWhereTheLogsAre(t *testing.T) {
	agent := filepath.Join(t.TempDir(), "agent")
	require.NoError(t, os.WriteFile(agent, []byte("#!/bin/sh\necho ocf-exit-reason:broken on purpose >&2\nexit 5\n"), 0o755))
	cfg := bare("tfail", 1)
	cfg.NoResources, cfg.Agent, cfg.ReadyTimeout = false, agent, 5*time.Second
	_, err := Up(testContext(t), cfg, nil)
	require.ErrorContains(t, err, "exactly one primary by SQL, found: none")
	_, logs, ok := strings.Cut(err.Error(), "logs of all nodes: ")
	require.True(t, ok, err)
	logs = strings.TrimSpace(logs)
	defer os.RemoveAll(logs)
	text, rerr := os.ReadFile(filepath.Join(logs, "n1/pacemaker/pacemaker.log"))
	require.NoError(t, rerr)
	require.Contains(t, string(text), "broken on purpose")
	require.Empty(t, leftovers(t, "tfail"))
}

func TestTreeIsNotWrittenTo(t *testing.T) {
	tree, err := Tree(testContext(t), DefaultSuite, nil)
	require.NoError(t, err)
	for _, path := range []string{"usr/sbin/fence_lab", "etc/corosync/corosync.conf.new", "root/mark"} {
		require.False(t, exists(filepath.Join(tree, path)), path)
	}
	lent := glob(filepath.Join(tree, "etc/apt/apt.conf.d/99lab-host"), filepath.Join(tree, "etc/apt/auth.conf.d/*"))
	require.Empty(t, lent, "the host's apt settings are only lent")
}
