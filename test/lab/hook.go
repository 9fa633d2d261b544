package lab

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
)

// What this program is called as when it is one of the lab's helpers.
const (
	cmdInit     = "lab-helper-init"
	cmdPowerd   = "lab-helper-powerd"
	cmdServices = "lab-helper-services"
	cmdSandbox  = "lab-helper-sandbox"
	cmdMeasure  = "lab-helper-measure"
)

// Hook turns the program into one of the lab's helpers when it was started as
// one, and does not return then. It must be the first thing that main or
// TestMain does.
func Hook() {
	// The first thread stays out of everything: others enter namespaces, and
	// /proc/self is about the first.
	runtime.LockOSThread()
	code, isHelper := runHelper(os.Args)
	if isHelper {
		os.Exit(code)
	}
}

func runHelper(args []string) (code int, isHelper bool) {
	if filepath.Base(args[0]) == fenceAgent {
		return fenceAgentMain(args[1:], os.Stdin, os.Stdout, os.Stderr), true
	}
	if filepath.Base(args[0]) == filepath.Base(vipHelper) {
		if err := vipMain(args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1, true
		}
		return 0, true
	}
	if len(args) < 2 {
		return 0, false
	}
	var err error
	switch args[1] {
	case cmdInit:
		err = initMain()
	case cmdPowerd:
		err = powerdMain(args[2])
	case cmdServices:
		err = servicesMain(args[2])
	case cmdSandbox:
		code, err = sandboxMain()
	case cmdMeasure:
		err = measureMain(args[2:], os.Stdout)
	default:
		return 0, false
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s %s: %v\n", filepath.Base(args[0]), args[1], err)
		if code == 0 {
			code = 1
		}
	}
	return code, true
}
