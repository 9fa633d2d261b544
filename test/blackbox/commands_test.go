package blackbox

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// scriptCommands are described in README.md.
var scriptCommands = map[string]func(*testscript.TestScript, bool, []string){
	// What is given.
	"param":     command(cmdParam),
	"meta":      command(cmdMeta),
	"environ":   command(cmdEnviron),
	"unset":     command(cmdUnset),
	"lists":     command(cmdLists),
	"by-hand":   command(cmdByHand),
	"terminal":  command(cmdTerminal),
	"control":   command(cmdControl),
	"setting":   command(cmdSetting),
	"fact":      command(cmdFact),
	"tell":      command(cmdTell),
	"attribute": command(cmdAttribute),
	"server":    command(cmdServer),
	"other":     command(cmdOther),
	"bystander": negatable(cmdBystander),
	"backend":   command(cmdBackend),
	"crash":     command(cmdCrash),
	"freeze":    command(cmdFreeze),
	"moved-in":  command(cmdMovedIn),
	"own":       command(cmdOwn),

	// What is done.
	"exits":   command(cmdExits),
	"refuses": command(cmdRefuses),
	"others":  command(cmdOthers),
	"planted": command(cmdPlanted),

	// What is seen.
	"reason":  command(cmdReason),
	"within":  command(cmdWithin),
	"called":  command(cmdCalled),
	"by":      command(cmdBy),
	"asked":   negatable(cmdAsked),
	"times":   negatable(cmdTimes),
	"logged":  negatable(cmdLogged),
	"holds":   negatable(cmdHolds),
	"running": negatable(cmdRunning),
}

// command makes a script command of a function that knows nothing of scripts but its world.
func command(do func(w *world, args []string) error) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg {
			ts.Fatalf("! has no meaning here")
		}
		w := worldOf(ts)
		before := w.last
		err := do(w, args)
		if w.last != before {
			fmt.Fprint(ts.Stdout(), w.last.stdout)
			fmt.Fprint(ts.Stderr(), w.last.stderr)
			ts.Logf("[log] %s\n[calls] %s", w.last.log, texts(w.last.calls))
		}
		ts.Check(err)
	}
}

// negatable is command for what may have a ! before it: do says whether it is so, and what was found. A server hears of
// a signal a little later than the agent has sent it, so what is expected to be so may take a moment.
func negatable(do func(w *world, args []string) (is bool, found string, err error)) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		is, found, err := do(worldOf(ts), args)
		for deadline := time.Now().Add(busy); !is && !neg && err == nil && time.Now().Before(deadline); {
			time.Sleep(5 * time.Millisecond)
			is, found, err = do(worldOf(ts), args)
		}
		ts.Check(err)
		if is == neg {
			ts.Fatalf("found %s", found)
		}
	}
}

// pairs calls set for each argument of the form name=value.
func pairs(args []string, set func(name, value string)) error {
	if len(args) == 0 {
		return fmt.Errorf("expected name=value")
	}
	for _, arg := range args {
		name, value, ok := strings.Cut(arg, "=")
		if !ok {
			return fmt.Errorf("expected name=value, found %q", arg)
		}
		set(name, value)
	}
	return nil
}

func cmdParam(w *world, args []string) error {
	return pairs(args, func(name, value string) { w.env[param(name)] = value })
}

func cmdMeta(w *world, args []string) error {
	return pairs(args, func(name, value string) { w.env[meta(name)] = value })
}

func cmdEnviron(w *world, args []string) error {
	return pairs(args, func(name, value string) { w.env[name] = value })
}

// cmdUnset takes full names; a name with a * at its end means all that begin like it.
func cmdUnset(w *world, args []string) error {
	for _, arg := range args {
		prefix, many := strings.CutSuffix(arg, "*")
		for name := range w.env {
			if name == arg || many && strings.HasPrefix(name, prefix) {
				delete(w.env, name)
			}
		}
	}
	return nil
}

func cmdLists(w *world, args []string) error {
	if slices.Equal(args, []string{"none"}) {
		w.lists = nil
		return nil
	}
	lists := map[string]string{}
	if err := pairs(args, func(name, value string) { lists[name] = value }); err != nil {
		return err
	}
	for name := range lists {
		if !slices.Contains(listNames, name) {
			return fmt.Errorf("no list %q, expected one of %v", name, listNames)
		}
	}
	w.setLists(lists)
	return nil
}

func cmdByHand(w *world, _ []string) error {
	w.byHand()
	return nil
}

func cmdTerminal(w *world, _ []string) error {
	w.tty = true
	return nil
}

func cmdControl(w *world, args []string) error { return w.setControl(strings.Join(args, " ")) }

// cmdSetting adds a line to postgresql.conf, where the last one counts.
func cmdSetting(w *world, args []string) error {
	file := w.path("data", "postgresql.conf")
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	name, value := args[0], strings.Join(args[1:], " ")
	return w.writeOwned(file, string(text)+name+" = '"+strings.ReplaceAll(value, "'", "''")+"'\n")
}

func cmdFact(w *world, args []string) error {
	return w.setFact(args[0], strings.Join(args[1:], "\n"))
}

// cmdTell replaces what a fake was told; without words, it does its work again.
func cmdTell(w *world, args []string) error {
	return w.setFact("told-"+args[0], strings.Join(args[1:], " "))
}

// cmdAttribute sets a node attribute: attribute NODE NAME VALUE [in DURATION].
func cmdAttribute(w *world, args []string) error {
	from := time.Unix(0, 0)
	switch {
	case len(args) == 5 && args[3] == "in":
		from = time.Now().Add(duration(args[4]))
	case len(args) != 3:
		return fmt.Errorf("expected a node, a name and a value")
	}
	return w.setAttribute(args[0], args[1], args[2], from)
}

func cmdOwn(w *world, args []string) error {
	for _, file := range args {
		if err := w.own(w.path(file)); err != nil {
			return err
		}
	}
	return nil
}

// cmdExits calls the agent: exits CODE [ACTION [PHASE]].
func cmdExits(w *world, args []string) error {
	var i invocation
	if len(args) > 1 {
		i.action = args[1]
	}
	if len(args) > 2 {
		i.phase = args[2]
	}
	r, err := w.runAgent(i)
	if err != nil {
		return err
	}
	if want := number(args[0]); r.code != want {
		return fmt.Errorf("exit code %d, expected %d; reason: %q", r.code, want, r.reasons())
	}
	return nil
}
