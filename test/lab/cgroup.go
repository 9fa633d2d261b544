package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// A lab's processes are all in cgroups of its own, one per node and one for the
// power switch. That is how they are found again, and killed, by a process that
// did not start them: no pid has to be remembered, so none can be mistaken.

// cgroupMount is where cgroup v2 is mounted: /sys/fs/cgroup, or a directory in
// it where the host still uses v1 beside it.
func cgroupMount() (string, error) {
	mounts, err := os.ReadFile("/proc/thread-self/mounts")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(mounts)) {
		if f := strings.Fields(line); len(f) > 2 && f[2] == "cgroup2" {
			return f[1], nil
		}
	}
	return "", errors.New("cgroup v2: not mounted (mount -t cgroup2 none /sys/fs/cgroup/unified)")
}

func cgroupDir(lab string) (string, error) {
	mount, err := cgroupMount()
	if err != nil {
		return "", err
	}
	return filepath.Join(mount, "pgsqlms-lab-"+lab), nil
}

// cgroup is the directory of one cgroup.
type cgroup string

func (c cgroup) create() error { return os.MkdirAll(string(c), 0o755) }

func (c cgroup) open() (*os.File, error) { return os.Open(string(c)) }

func (c cgroup) write(file, value string) error {
	return os.WriteFile(filepath.Join(string(c), file), []byte(value), 0o644)
}

// freeze returns when all that is in the cgroup stands still.
func (c cgroup) freeze(ctx context.Context) error {
	if err := c.write("cgroup.freeze", "1"); err != nil {
		return err
	}
	return c.waitEvent(ctx, "frozen 1", 10*time.Second)
}

func (c cgroup) thaw() error { return c.write("cgroup.freeze", "0") }

func (c cgroup) frozen() bool {
	b, err := os.ReadFile(filepath.Join(string(c), "cgroup.freeze"))
	return err == nil && strings.TrimSpace(string(b)) == "1"
}

// pids lists the processes as the host numbers them.
func (c cgroup) pids() ([]int, error) {
	b, err := os.ReadFile(filepath.Join(string(c), "cgroup.procs"))
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, f := range strings.Fields(string(b)) {
		pid, err := strconv.Atoi(f)
		if err != nil {
			return nil, err
		}
		pids = append(pids, pid)
	}
	return pids, nil
}

// kill kills all that is in the cgroup and returns when it is empty. Frozen
// processes are thawed after the signal is on its way, so that they die
// without having run again.
func (c cgroup) kill(ctx context.Context) error {
	if !exists(string(c)) {
		return nil
	}
	if err := c.write("cgroup.kill", "1"); err != nil {
		return err
	}
	if err := c.thaw(); err != nil {
		return err
	}
	return c.waitEvent(ctx, "populated 0", 20*time.Second)
}

// waitEvent waits for a line of cgroup.events. A cgroup that is gone is what
// any wait here is for.
func (c cgroup) waitEvent(ctx context.Context, want string, bound time.Duration) error {
	return await(ctx, bound, 2*time.Millisecond, func() error {
		events, err := os.ReadFile(filepath.Join(string(c), "cgroup.events"))
		switch {
		case errors.Is(err, fs.ErrNotExist) || strings.Contains(string(events), want):
			return nil
		case err != nil:
			return err
		}
		return fmt.Errorf("%s: expected %q, found %q", c, want, strings.TrimSpace(string(events)))
	})
}

// remove takes away the cgroup and those below it, killing what is in them.
func (c cgroup) remove(ctx context.Context) error {
	entries, err := os.ReadDir(string(c))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			if err := cgroup(filepath.Join(string(c), e.Name())).remove(ctx); err != nil {
				return err
			}
		}
	}
	if err := c.kill(ctx); err != nil {
		return err
	}
	return await(ctx, 5*time.Second, time.Millisecond, func() error {
		err := os.Remove(string(c)) // busy for a moment after the last process is gone
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
}
