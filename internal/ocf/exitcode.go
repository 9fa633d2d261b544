package ocf

import "strconv"

// ExitCode is what an action ends with. Pacemaker takes anything outside 0 to 9,
// 190 and 191 for 1.
type ExitCode int

// The exit codes of the OCF resource agent API 1.1, with what Pacemaker makes of
// them. "Hard" bans the resource from this node, "fatal" from all nodes.
const (
	Success          ExitCode = 0 // done; for a monitor: running, unpromoted
	ErrGeneric       ExitCode = 1 // soft: recovery is tried
	ErrArgs          ExitCode = 2 // hard: the configuration is wrong on this node
	ErrUnimplemented ExitCode = 3 // hard: no such action
	ErrPerm          ExitCode = 4 // hard: permissions
	ErrInstalled     ExitCode = 5 // hard: something is not installed here
	ErrConfigured    ExitCode = 6 // fatal: the configuration is wrong everywhere
	NotRunning       ExitCode = 7 // cleanly stopped
	RunningPromoted  ExitCode = 8 // running, promoted
	FailedPromoted   ExitCode = 9 // soft: promoted, and failed
)

var exitCodeNames = map[ExitCode]string{
	Success:          "OCF_SUCCESS",
	ErrGeneric:       "OCF_ERR_GENERIC",
	ErrArgs:          "OCF_ERR_ARGS",
	ErrUnimplemented: "OCF_ERR_UNIMPLEMENTED",
	ErrPerm:          "OCF_ERR_PERM",
	ErrInstalled:     "OCF_ERR_INSTALLED",
	ErrConfigured:    "OCF_ERR_CONFIGURED",
	NotRunning:       "OCF_NOT_RUNNING",
	RunningPromoted:  "OCF_RUNNING_PROMOTED",
	FailedPromoted:   "OCF_FAILED_PROMOTED",
}

// String is the code's name in the OCF API, as it stands in an agent's manual.
func (c ExitCode) String() string {
	if name, ok := exitCodeNames[c]; ok {
		return name
	}
	return "exit code " + strconv.Itoa(int(c))
}
