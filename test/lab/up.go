package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Up builds a lab and returns when it is ready. When it fails, or when ctx
// ends, it takes away what it made, unless cfg.Keep is set. progress, which may
// be nil, is told each step.
func Up(ctx context.Context, cfg Config, progress func(string)) (*Lab, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if missing := Requirements(); len(missing) > 0 {
		return nil, requirementsError(missing)
	}
	tree, err := Tree(ctx, cfg.Suite, progress, slices.Concat(systemOf(cfg.Agent).packages(), cfg.Packages)...)
	if err != nil {
		return nil, err
	}
	lock, err := lockLab(ctx, cfg.Name)
	if err != nil {
		return nil, err
	}
	defer lock.unlock()
	l, err := newLab(cfg, tree, progress)
	if err != nil {
		return nil, err
	}
	if err := l.build(ctx); err != nil {
		return nil, l.failed(err, lock)
	}
	return l, nil
}

// lockLab keeps two programs from building or taking away the same lab at once.
func lockLab(ctx context.Context, name string) (*fileLock, error) {
	if err := os.MkdirAll(stateRoot(), 0o755); err != nil {
		return nil, fmt.Errorf("lab state: %w", err)
	}
	return lockFile(ctx, filepath.Join(stateRoot(), "."+name+".lock"))
}

// ErrExists is Up's when there is a lab of that name. It may be somebody else's.
var ErrExists = errors.New("is there already")

// newLab writes down what is going to be made, before any of it is.
func newLab(cfg Config, tree string, progress func(string)) (*Lab, error) {
	dir := stateDir(cfg.Name)
	if exists(planFile(dir)) {
		return nil, fmt.Errorf("a lab called %s %w (in %s): take it down first, or choose another name", cfg.Name, ErrExists, dir)
	}
	facts, err := readFacts(tree)
	if err != nil {
		return nil, err
	}
	cg, err := cgroupDir(cfg.Name)
	if err != nil {
		return nil, err
	}
	l := &Lab{dir: dir, plan: plan{Config: cfg, Tree: tree, Cgroup: cg, Facts: facts}, say: quiet(progress)}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	return l, l.plan.write(dir)
}

// failed cleans up after an error, keeping the logs where the error names them.
func (l *Lab) failed(cause error, lock *fileLock) error {
	if l.plan.Config.Keep {
		return fmt.Errorf("%w\nthe lab %s was kept as it is: lab down --name %s takes it away", cause, l.plan.Config.Name, l.plan.Config.Name)
	}
	if !errors.Is(cause, context.Canceled) { // whoever gave up does not want to know why
		if logs, err := l.saveLogs(); err == nil {
			cause = fmt.Errorf("%w\nlogs of all nodes: %s", cause, logs)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := l.remove(ctx, lock); err != nil {
		return errors.Join(cause, fmt.Errorf("and taking the lab away: %w", err))
	}
	return cause
}

// build makes the parts in the order in which they need each other.
func (l *Lab) build(ctx context.Context) error {
	steps := []step{{"nodes", l.startNodes}, {"PostgreSQL", l.setUpPostgres}}
	for _, s := range append(steps, l.system().steps(l)...) {
		start := time.Now()
		if err := s.do(ctx); err != nil {
			return fmt.Errorf("bringing up the lab %s, step %s: %w", l.plan.Config.Name, s.name, err)
		}
		l.say(fmt.Sprintf("%-10s %4.1f s", s.name, time.Since(start).Seconds()))
	}
	return nil
}

func (l *Lab) startNodes(ctx context.Context) error {
	if err := os.MkdirAll(filepath.Join(l.dir, "bin"), 0o755); err != nil {
		return err
	}
	if err := copySelf(l.helper()); err != nil {
		return err
	}
	if err := cgroup(l.plan.Cgroup).create(); err != nil {
		return err
	}
	net := network{l.plan.Config.Name}
	if err := net.makeSwitch(ctx); err != nil {
		return err
	}
	if err := l.startPowerd(); err != nil {
		return err
	}
	return l.eachNode(func(n Node) error {
		if err := l.Boot(ctx, n.Name); err != nil {
			return err
		}
		return l.equip(n)
	})
}

func (l *Lab) helper() string { return filepath.Join(l.dir, "bin", "lab") }

func (l *Lab) startPowerd() error {
	cg := cgroup(filepath.Join(l.plan.Cgroup, "powerd"))
	if err := cg.create(); err != nil {
		return err
	}
	fd, err := cg.open()
	if err != nil {
		return err
	}
	defer fd.Close()
	log, err := os.OpenFile(filepath.Join(l.dir, "powerd.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := helperCommand(l.helper(), cmdPowerd, l.dir)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Dir = "/"
	cmd.SysProcAttr.UseCgroupFD, cmd.SysProcAttr.CgroupFD = true, int(fd.Fd())
	return startAndAwaitReady(cmd, cmd.Start, 10*time.Second)
}

// equip writes a node's configuration.
func (l *Lab) equip(n Node) error {
	c, f := l.plan.Config, l.plan.Facts
	files := []struct {
		path, text, owner string
		mode              os.FileMode
	}{
		{"/etc/hosts", hostsFile(l.Nodes()), "", 0o644},
		{"/etc/hostname", n.Name + "\n", "", 0o644},
		{f.pgconf() + "/postgresql.conf", pgConf(c, f, l.Nodes(), n), "postgres", 0o644},
		{f.pgconf() + "/pg_hba.conf", pgHBA(c, n), "postgres", 0o640},
		{f.pgconf() + "/pg_ident.conf", "", "postgres", 0o640},
	}
	for _, file := range files {
		if err := l.WriteFile(n.Name, file.path, []byte(file.text), file.mode, file.owner); err != nil {
			return err
		}
	}
	err := l.inNode(n.Name, func() error {
		if err := os.Symlink(helperPath, "/usr/sbin/"+fenceAgent); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
		uid, gid, err := lookupOwner("postgres")
		if err != nil {
			return err
		}
		for _, d := range []string{f.pgconf(), "/var/lib/postgresql", "/var/log/postgresql"} {
			if err := os.MkdirAll(d, 0o755); err != nil {
				return err
			}
			if err := os.Chown(d, uid, gid); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return l.system().equip(l, n)
}

// UntilInterrupted is a context that ends with the first Ctrl-C or TERM, so that
// Up and tests clean up; a second one ends the program at once.
func UntilInterrupted(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := signal.NotifyContext(ctx, syscall.SIGINT, unix.SIGTERM)
	context.AfterFunc(ctx, cancel)
	return ctx, cancel
}

func orNone(list []string) string {
	if len(list) == 0 {
		return "none"
	}
	return strings.Join(list, " ")
}
