package lab

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// Down takes the lab called name away, however far it came up and whether or
// not its power switch lives. When there is no such lab it has nothing to do.
func Down(ctx context.Context, name string) error {
	def(&name, "lab")
	if err := CheckName(name); err != nil {
		return err
	}
	if !exists(stateDir(name)) {
		return nil
	}
	lock, err := lockLab(ctx, name)
	if err != nil {
		return err
	}
	defer lock.unlock()
	return (&Lab{dir: stateDir(name), plan: plan{Config: Config{Name: name}}}).remove(ctx, lock)
}

// Down takes the lab away.
func (l *Lab) Down(ctx context.Context) error { return Down(ctx, l.plan.Config.Name) }

// remove goes by the lab's name alone. First all processes, which are in its
// cgroups and hold its mounts; then the network; the files last, because they
// are what says that there is something to remove.
func (l *Lab) remove(ctx context.Context, lock *fileLock) error {
	name := l.plan.Config.Name
	cg, err := cgroupDir(name)
	if err != nil {
		return err
	}
	// The power switch before the nodes, or it could power one again.
	for _, c := range []string{filepath.Join(cg, "powerd"), cg} {
		if err := cgroup(c).remove(ctx); err != nil {
			return fmt.Errorf("ending the processes of the lab %s: %w", name, err)
		}
	}
	if err := (network{name}).remove(ctx); err != nil {
		return fmt.Errorf("network of the lab %s: %w", name, err)
	}
	if err := os.RemoveAll(filepath.Join(l.dir, "nodes")); err != nil {
		return err
	}
	if err := os.RemoveAll(l.dir); err != nil {
		return err
	}
	return lock.remove()
}
