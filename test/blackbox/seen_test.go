package blackbox

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"pgsqlms/internal/ocf"
)

// matches compares a text with what a script expects, to the letter, but for two things: "..." stands for anything, and
// the script's directory for itself.
func (w *world) matches(text, want string) bool {
	parts := strings.Split(want, "...")
	for n := range parts {
		parts[n] = regexp.QuoteMeta(parts[n])
	}
	return regexp.MustCompile(`(?s)\A` + strings.Join(parts, ".*") + `\z`).MatchString(w.shorten(text))
}

// shorten writes the script's directory as the script does.
func (w *world) shorten(text string) string {
	return strings.ReplaceAll(text, string(w.place), "$WORK")
}

func cmdReason(w *world, args []string) error {
	found := w.last.reasons()
	want := strings.Join(args, " ")
	if want == "none" {
		if len(found) > 0 {
			return fmt.Errorf("found the reason %q", found)
		}
		return nil
	}
	if len(found) == 0 || !w.matches(finding(found[0]), want) {
		return fmt.Errorf("found the reason\n\t%q, expected\n\t%q", w.shorten(strings.Join(found, "\n")), want)
	}
	return nil
}

// finding is a reason without what mends it.
func finding(reason string) string {
	found, _, _ := strings.Cut(reason, ocf.HelpMark)
	return found
}

// busy is what a loaded machine may add to the time a call takes. Where a bound is missing, it takes much longer.
const busy = 3 * time.Second

func cmdWithin(w *world, args []string) error {
	if limit := duration(args[0]); w.last.took > limit+busy {
		return fmt.Errorf("took %s, expected at most %s", w.last.took, limit)
	}
	return nil
}

// cmdCalled wants just these programs to have been called, in any order and number; "called nothing": none.
func cmdCalled(w *world, args []string) error {
	found := map[string]bool{}
	for _, c := range w.last.calls {
		if c.name != serverName {
			found[c.name] = true
		}
	}
	var names []string
	for name := range found {
		names = append(names, name)
	}
	slices.Sort(names)
	want := slices.Sorted(slices.Values(args))
	if slices.Equal(args, []string{"nothing"}) {
		want = nil
	}
	if !slices.Equal(names, want) {
		return fmt.Errorf("found calls of %v, expected %v:\n%s", names, want, texts(w.last.calls))
	}
	return nil
}

func texts(calls []call) string {
	var lines []string
	for _, c := range calls {
		lines = append(lines, c.text)
	}
	return strings.Join(lines, "\n")
}

// cmdBy wants programs to have been called, and by that user only: by system_user|agent PROGRAM...
func cmdBy(w *world, args []string) error {
	want := w.uid()
	if args[0] == "agent" {
		want = agentUID()
	}
	for _, name := range args[1:] {
		seen := false
		for _, c := range w.last.calls {
			if c.name != name {
				continue
			}
			seen = true
			if c.uid != want {
				return fmt.Errorf("%q was called by uid %d, expected %d", c.text, c.uid, want)
			}
		}
		if !seen {
			return fmt.Errorf("%s was not called", name)
		}
	}
	return nil
}

func cmdAsked(w *world, args []string) (bool, string, error) {
	want := strings.Join(args, " ")
	calls, err := w.readCalls()
	is := slices.ContainsFunc(calls, func(c call) bool { return w.matches(c.text, want) })
	return is, fmt.Sprintf("these calls, looking for %q:\n%s", want, w.shorten(texts(calls))), err
}

// cmdTimes counts the calls that are the same: times COUNT TEXT.
func cmdTimes(w *world, args []string) (bool, string, error) {
	want := strings.Join(args[1:], " ")
	calls, err := w.readCalls()
	found := 0
	for _, c := range calls {
		if w.matches(c.text, want) {
			found++
		}
	}
	return found == number(args[0]), fmt.Sprintf("%d times %q", found, want), err
}

// cmdLogged looks for a line: logged LEVEL TEXT, logged nothing.
func cmdLogged(w *world, args []string) (bool, string, error) {
	if slices.Equal(args, []string{"nothing"}) {
		return w.last.log == "", fmt.Sprintf("in the log: %q", w.last.log), nil
	}
	want := args[0] + ": " + strings.Join(args[1:], " ")
	for line := range strings.Lines(w.last.log) {
		if _, text, ok := strings.Cut(line, "\t"); ok && w.matches(strings.TrimRight(text, "\n"), "... ... ... "+want) {
			return true, "in the log: " + line, nil
		}
	}
	return false, fmt.Sprintf("in the log, looking for %q: %q", want, w.shorten(w.last.log)), nil
}

// cmdHolds looks at a node attribute: holds NODE NAME [VALUE]. One that was deleted counts as not there.
func cmdHolds(w *world, args []string) (bool, string, error) {
	value, ok, err := w.getAttribute(args[0], args[1])
	found := fmt.Sprintf("%s of %s: %q (set: %v)", args[1], args[0], value, ok)
	if len(args) == 2 {
		return ok && value != "", found, err
	}
	return ok && value == strings.Join(args[2:], " "), found, err
}
