package blackbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
	"unicode"
	"unicode/utf8"

	"pgsqlms/internal/ocf"
)

// checkRun holds every call of the agent, in every script, to the rules that have no exception. foreign are the files in
// the data directory that were not the system user's before.
func (w *world) checkRun(r *run, foreign map[string]bool) error {
	return errors.Join(
		checkReason(r),
		checkDocumented(r),
		w.checkSecret(r),
		w.checkCanary(),
		checkPrintable(r),
		w.checkOwners(foreign),
		w.checkGuarded(r),
		w.checkNothingHangs(r),
	)
}

// checkHarmless keeps a script from letting the agent at an instance of the machine's own, at the default places.
func (w *world) checkHarmless(i invocation) error {
	switch i.action {
	case "start", "stop", "promote", "demote", "reload", "notify", "monitor", probe:
		for _, name := range []string{"pgdata", "pghost"} {
			if w.env[param(name)] == "" {
				return fmt.Errorf("parameter %s is not set, and its default may lead to a real instance", name)
			}
		}
	}
	return nil
}

// checkReason: a failure has one exit reason, on the last line, where Pacemaker reads it; a result has none. It is
// worded as docs/message-style.md wants it, and is logged as well, once.
func checkReason(r *run) error {
	reasons := r.reasons()
	switch {
	case len(reasons) > 1:
		return fmt.Errorf("%d exit reasons: %q", len(reasons), reasons)
	case len(reasons) == 0 && r.code != 0 && r.code != 7 && r.code != 8:
		return fmt.Errorf("exit code %d without a reason", r.code)
	case len(reasons) == 0:
		return nil
	case r.code == 0 || r.code == 8:
		return fmt.Errorf("exit code %d with the reason %q", r.code, reasons[0])
	case !strings.HasSuffix(strings.TrimRight(r.stderr, "\r\n"), reasonPrefix+reasons[0]):
		return fmt.Errorf("the exit reason is not the last line of %q", r.stderr)
	case !strings.Contains(reasons[0], ocf.HelpMark):
		return fmt.Errorf("the exit reason %q does not say what to do", reasons[0])
	case reasons[0] == "" || strings.HasSuffix(reasons[0], ".") || strings.Contains(reasons[0], "%!"):
		return fmt.Errorf("the exit reason %q is not worded as it should be", reasons[0])
	case r.log != "" && strings.Count(r.log, "ERROR: "+reasons[0]+"\n") != 1:
		return fmt.Errorf("the exit reason %q is not logged once: %q", reasons[0], r.log)
	}
	return nil
}

// checkSecret: no password reaches an output, a log or a command line.
func (w *world) checkSecret(r *run) error {
	calls, err := os.ReadFile(w.calls())
	for where, text := range map[string]string{
		"standard output": r.stdout, "standard error": r.stderr, "the log": r.log, "a command line": string(calls),
	} {
		if strings.Contains(text, secret) {
			return fmt.Errorf("the password is in %s", where)
		}
	}
	return err
}

// checkPrintable: a line can be put into the cluster's XML, and shown on a terminal.
func checkPrintable(r *run) error {
	for where, text := range map[string]string{"standard error": r.stderr, "the log": r.log} {
		n := strings.IndexFunc(text, func(c rune) bool {
			return c == utf8.RuneError || !unicode.IsPrint(c) && c != '\n' && c != '\t'
		})
		if n >= 0 {
			return fmt.Errorf("in %s is something that cannot be printed: %q", where, text[n:min(len(text), n+20)])
		}
	}
	return nil
}

// checkCanary: nothing that came from outside was run.
func (w *world) checkCanary() error {
	if _, err := os.Lstat(w.canary()); err == nil {
		return fmt.Errorf("something in a value was run: %s exists", w.canary())
	}
	return nil
}

// checkOwners: what the agent makes in the data directory is the system user's. Without root it cannot be otherwise.
func (w *world) checkOwners(before map[string]bool) error {
	for file := range w.foreignFiles() {
		if !before[file] {
			return fmt.Errorf("%s is not %s's", file, w.user.Username)
		}
	}
	return nil
}

func (w *world) foreignFiles() map[string]bool {
	foreign := map[string]bool{}
	_ = filepath.WalkDir(w.data(), func(path string, _ fs.DirEntry, err error) error {
		var info syscall.Stat_t
		if err == nil && syscall.Lstat(path, &info) == nil && int(info.Uid) != w.uid() {
			foreign[path] = true
		}
		return nil
	})
	return foreign
}

// checkNothingHangs: none of the cluster's tools is left behind.
func (w *world) checkNothingHangs(r *run) error {
	if !slices.ContainsFunc(r.calls, func(c call) bool { return c.name == "attrd_updater" || c.name == "crm_node" }) {
		return nil
	}
	var left map[int]string
	for deadline := time.Now().Add(busy); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if left = w.processes(w.sbin()); len(left) == 0 {
			return nil
		}
	}
	return fmt.Errorf("left running: %v", left)
}
