package blackbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// rootsSecret is in a file of root's that no action may open, as all of the directory around it.
const rootsSecret = "roots-s3cret"

func (p place) roots() string { return p.path("roots") }

// guard makes a directory of root's, with a file and a directory in it, and remembers what they are like. Their times of
// access are long ago, so that the kernel notes the next one.
func (w *world) guard() error {
	if w.guarded != nil {
		return nil
	}
	secret, dir := filepath.Join(w.roots(), "secret"), filepath.Join(w.roots(), "directory")
	err := errors.Join(os.MkdirAll(dir, 0o700), os.Chmod(w.roots(), 0o700), os.WriteFile(secret, []byte(rootsSecret+"\n"), 0o600))
	long := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, path := range []string{secret, dir, w.roots()} {
		err = errors.Join(err, os.Chtimes(path, long, time.Time{}))
	}
	w.guarded, err = w.lookAtRoots(err)
	return err
}

// lookAtRoots gives everything that is known of the guarded files without opening one, save of the directory itself, of
// which every look at what is in it counts as an access.
func (w *world) lookAtRoots(err error) ([]syscall.Stat_t, error) {
	all := make([]syscall.Stat_t, 3)
	for n, name := range []string{"", "secret", "directory"} {
		err = errors.Join(err, syscall.Lstat(filepath.Join(w.roots(), name), &all[n]))
	}
	return all, err
}

// checkGuarded: what is root's was neither opened nor changed, and nothing of it got anywhere.
func (w *world) checkGuarded(r *run) error {
	if w.guarded == nil {
		return nil
	}
	now, err := w.lookAtRoots(nil)
	if err == nil && !slices.Equal(now, w.guarded) {
		err = fmt.Errorf("%s or what is in it was opened or changed: %+v, was %+v", w.roots(), now, w.guarded)
	}
	for where, text := range map[string]string{"standard output": r.stdout, "standard error": r.stderr, "the log": r.log} {
		if strings.Contains(text, rootsSecret) {
			err = errors.Join(err, fmt.Errorf("what only root may read is in %s", where))
		}
	}
	return err
}

// everyAction is what a planted file meets: all actions, in an order in which most have something to do.
var everyAction = []invocation{
	{"monitor", ""}, {"validate-all", ""}, {"start", ""}, {"reload", ""}, {"notify", "pre-promote"}, {"promote", ""},
	{"notify", "pre-demote"}, {"demote", ""}, {probe, ""}, {"stop", ""},
}

// cmdPlanted has every action meet what the owner of the data directory has put in the place of a file there, before a
// start and while a server runs: planted FILE KIND... Kinds are links to roots/secret, to roots/directory, and to roots/new
// that is to be made, and pipe, which nobody writes to. What an action answers is its own affair, as long as it ends in
// time and the rules hold.
func cmdPlanted(w *world, args []string) error {
	if err := w.guard(); err != nil {
		return err
	}
	for _, kind := range args[1:] {
		for _, role := range []string{"", "standby"} {
			if err := w.meetPlanted(args[0], kind, role); err != nil {
				return fmt.Errorf("%s, server %q: %w", kind, role, err)
			}
		}
	}
	return nil
}

func (w *world) meetPlanted(file, kind, role string) error {
	if err := w.freshInstance(); err != nil {
		return err
	}
	if role != "" {
		if err := w.startServer(role, w.data()); err != nil {
			return err
		}
	}
	if err := w.plant(w.path("data", file), kind); err != nil {
		return err
	}
	for _, i := range everyAction {
		if err := w.meet(i); err != nil {
			return fmt.Errorf("%s %s: %w", i.action, i.phase, err)
		}
	}
	return nil
}

// meet runs one action. One that waits where no deadline reaches, as for a pipe's writer, is given up shortly before its
// timeout, which on a busy machine may befall others too: it is tried again with time enough.
func (w *world) meet(i invocation) error {
	r, err := w.runAgent(i)
	if err != nil || !r.givenUp() {
		return err
	}
	short := w.env[meta("timeout")]
	w.env[meta("timeout")] = "15000"
	r, err = w.runAgent(i)
	w.env[meta("timeout")] = short
	if err == nil && r.givenUp() {
		err = errors.New("it waited where no deadline reaches")
	}
	return err
}

func (r *run) givenUp() bool {
	return strings.Contains(r.stderr+r.log, "got no answer from the operating system")
}

// freshInstance ends what runs and makes the data directory anew.
func (w *world) freshInstance() error {
	w.endAll()
	if err := waitFor("the fake server to be gone", func() bool { return len(w.serverPids()) == 0 }); err != nil {
		return err
	}
	if err := errors.Join(os.RemoveAll(w.data()), os.Mkdir(w.data(), 0o700), w.own(w.data())); err != nil {
		return err
	}
	return errors.Join(w.makeInstance(w.data(), "5432"), w.setFact("lsn", "0/5000060"))
}

func (w *world) plant(path, kind string) error {
	err := errors.Join(os.RemoveAll(path), os.MkdirAll(filepath.Dir(path), 0o700), w.own(filepath.Dir(path)))
	if err != nil {
		return err
	}
	if kind == "pipe" {
		err = syscall.Mkfifo(path, 0o600)
	} else {
		err = os.Symlink(filepath.Join(w.roots(), kind), path)
	}
	return errors.Join(err, w.own(path))
}
