package agent

import (
	"runtime/debug"
	"strings"

	"pgsqlms/internal/ocf"
)

// The Go runtime ends a program that panics with 2. That is OCF_ERR_ARGS, which bans the
// instance from the node, also where a healthy one was only looked at. So a panic becomes
// a failure like any other, in two ways: contained, around an action, and dieBySignal, for
// what happens in the goroutines that an action starts, in those of libraries, and to the
// runtime itself.

// contained gives the panic of an action as an error, and logs where it happened.
func contained(log *ocf.Logger, do func() (ocf.ExitCode, error)) (code ocf.ExitCode, err error) {
	defer func() {
		if p := recover(); p != nil {
			log.Errorf("%v: %s", p, strings.ReplaceAll(string(debug.Stack()), "\n\t", " "))
			code, err = refuse(reasonInternal.With(p))
		}
	}()
	return do()
}

// dieBySignal has the runtime end this process by SIGABRT, after it has printed the stacks
// to standard error, which Pacemaker logs. To Pacemaker a signal is a failure (1) of which
// nobody can say the reason (operation_finished in its services_linux.c).
func dieBySignal() { debug.SetTraceback("crash") }
