package blackbox

import (
	"fmt"
	"strings"
)

// cmdRefuses wants start and validate-all to end with this code and this reason, and nothing to run that did not run
// before: refuses CODE REASON.
func cmdRefuses(w *world, args []string) error {
	if len(args) < 2 {
		return fmt.Errorf("expected a code and a reason")
	}
	before := len(w.serverPids())
	for _, action := range []string{"start", "validate-all"} {
		if err := cmdExits(w, []string{args[0], action}); err != nil {
			return err
		}
		if err := cmdReason(w, args[1:]); err != nil {
			return fmt.Errorf("%s: %w", action, err)
		}
		if now := len(w.serverPids()); now != before {
			return fmt.Errorf("%s: %d processes of the server run, %d before", action, now, before)
		}
	}
	return nil
}

// cmdOthers wants the actions in whose way no validation stands to do their work: the monitor and the probe to have
// these results, a notification and a stop to succeed, and nothing to run afterwards: others monitor=CODE probe=CODE.
func cmdOthers(w *world, args []string) error {
	var calls [][]string
	err := pairs(args, func(name, code string) { calls = append(calls, []string{code, name}) })
	if err != nil || len(calls) != 2 || calls[0][1] != "monitor" || calls[1][1] != probe {
		return fmt.Errorf("expected monitor=CODE probe=CODE, found %q", strings.Join(args, " "))
	}
	calls = append(calls, []string{"0", "notify", "pre-promote"}, []string{"0", "notify", "pre-demote"},
		[]string{"0", "notify", "post-promote"}, []string{"0", "stop"})
	for _, call := range calls {
		if err := cmdExits(w, call); err != nil {
			return fmt.Errorf("%s: %w", strings.Join(call[1:], " "), err)
		}
	}
	if pids := w.serverPids(); len(pids) > 0 {
		return fmt.Errorf("after the stop, these processes of the server run: %v", pids)
	}
	return nil
}
