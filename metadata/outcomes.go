package metadata

import "slices"

// ExitCode describes one exit code of the OCF interface.
type ExitCode struct {
	Code    int
	Name    string // as in the OCF standard, without OCF_
	Meaning string
	Cluster string // what Pacemaker makes of it
}

// Outcome is the meaning of one exit code of one action.
type Outcome struct {
	Action  string
	Code    int
	Meaning string
}

// Reason is one kind of refusal, the code the action ends with, and the way out of it. The rows come from the package
// that words the refusals; this one only prints them.
type Reason struct {
	Name string
	Code int
	Text string // the exit reason, with the verbs of package fmt where a finding is filled in
	Help string
}

// ExitCodes returns the codes that the agent uses.
func ExitCodes() []ExitCode { return slices.Clone(exitCodes) }

// Outcomes returns the meaning of every exit code of every action, in the order of Actions.
func Outcomes() []Outcome { return slices.Clone(outcomes) }

var exitCodes = []ExitCode{
	{0, "SUCCESS", "done; of a monitor: it runs as a standby", "goes on"},
	{1, "ERR_GENERIC", "it did not work", "recovers the instance; after a failed stop, fences the node"},
	{2, "ERR_ARGS", "a parameter, or PostgreSQL's configuration on this node, is wrong", "moves the instance away from this node"},
	{3, "ERR_UNIMPLEMENTED", "there is no such action", "counts it as a failure"},
	{4, "ERR_PERM", "a file or directory is not accessible to the system user", "moves the instance away from this node"},
	{5, "ERR_INSTALLED", "a program, or the system user, is missing on this node", "moves the instance away from this node"},
	{6, "ERR_CONFIGURED", "the resource is configured wrongly, for all nodes alike", "stops the whole clone"},
	{7, "NOT_RUNNING", "nothing of the instance runs and it was shut down cleanly", "starts it, if it should run"},
	{8, "RUNNING_PROMOTED", "it runs as the primary", "goes on"},
	{9, "FAILED_PROMOTED", "it was the primary and has failed", "demotes, stops and starts the instance, then promotes the best one"},
}

var outcomes = []Outcome{
	{Start, 0, "runs as a standby; also when it ran as one before"},
	{Start, 1, "could not be started, did not become a standby, has left the primary's history, or runs as a primary"},
	{Start, 2, "a parameter or PostgreSQL's configuration on this node is wrong"},
	{Start, 4, "the system user may not read what it needs"},
	{Start, 5, "a program or the system user is missing"},
	{Start, 6, "the clone is configured wrongly, for example without notify=true, or a parameter can be right on no node"},

	{Stop, 0, "nothing of this data directory runs; also when nothing ran before, and whatever the parameters say"},
	{Stop, 1, "something of it still runs, or the opposite cannot be proved"},

	{Reload, 0, "the instance has been told to read its configuration again"},
	{Reload, 1, "it could not be told"},
	{Reload, 7, "it does not run"},

	{Promote, 0, "accepts writes; also when it was the primary before"},
	{Promote, 1, "was refused (another node holds more WAL, an acknowledged commit may be elsewhere, the switchover was cancelled), or PostgreSQL did not promote in time"},
	{Promote, 7, "does not run"},

	{Demote, 0, "runs as a standby; also when it was one before; or is down, when the transition stops it next"},
	{Demote, 1, "could not be shut down cleanly or did not come back as a standby"},
	{Demote, 2, "the control file of the instance is damaged, or something stands in the place of standby.signal"},
	{Demote, 4, "the system user may not create standby.signal, or does not own the data directory: it is down and stays so"},
	{Demote, 5, "the system user does not exist: it is down and stays so"},

	{Monitor, 0, "runs as a standby"},
	{Monitor, 1, "runs but does not answer, remains of it run, or it is a standby that crashed or has left the primary's history"},
	{Monitor, 2, "does not run, and there is no PostgreSQL data in the data directory, or its control file is damaged"},
	{Monitor, 4, "does not run, and the system user may not read the data directory"},
	{Monitor, 5, "does not run, and PostgreSQL's programs are missing; a probe answers 7 instead"},
	{Monitor, 7, "does not run and was shut down cleanly, or there is no data directory"},
	{Monitor, 8, "runs as the primary"},
	{Monitor, 9, "is a primary that crashed"},

	{Notify, 0, "always: Pacemaker ignores the result, so what `promote` has to know is left in private attributes"},

	{MetaData, 0, "always"},

	{ValidateAll, 0, "parameters and configuration are in order"},
	{ValidateAll, 1, "it could not be found out in time"},
	{ValidateAll, 2, "a parameter or PostgreSQL's configuration on this node is wrong"},
	{ValidateAll, 4, "the system user may not read what it needs"},
	{ValidateAll, 5, "a program or the system user is missing"},
	{ValidateAll, 6, "the clone is configured wrongly, for example without notify=true, or a parameter can be right on no node"},

	{Methods, 0, "always"},
}
