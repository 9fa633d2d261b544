package metadata

import (
	"slices"
	"time"
)

// The names of the actions, which are also the agent's first argument.
const (
	Start       = "start"
	Stop        = "stop"
	Reload      = "reload"
	Promote     = "promote"
	Demote      = "demote"
	Monitor     = "monitor"
	Notify      = "notify"
	MetaData    = "meta-data"
	ValidateAll = "validate-all"
	Methods     = "methods"
)

// Actions returns the agent's actions in the order in which they are shown.
func Actions() []Action { return slices.Clone(actions) }

// MethodNames returns each action's name once: what the action `methods` prints.
func MethodNames() []string {
	var names []string
	for _, a := range actions {
		if !slices.Contains(names, a.Name) {
			names = append(names, a.Name)
		}
	}
	return names
}

// The timeouts are those PAF suggests. The monitors come more often, as they cost little (docs/decisions/0027): the
// primary's, for which clients wait, every second. The two differ in their interval because Pacemaker tells operations
// of one name apart by it.
var actions = []Action{
	{Name: Start, Timeout: 60 * time.Second,
		Short: "Starts the instance, always as a standby."},
	{Name: Stop, Timeout: 60 * time.Second,
		Short: "Stops the instance, and proves that nothing of it is left running."},
	{Name: Reload, Timeout: 20 * time.Second,
		Short: "Makes the instance read its configuration again. Called when a parameter that is not unique has changed."},
	{Name: Promote, Timeout: 30 * time.Second,
		Short: "Makes the standby the primary, unless a better candidate is known or the switchover was cancelled."},
	{Name: Demote, Timeout: 120 * time.Second,
		Short: "Shuts the primary down cleanly and starts it as a standby."},
	{Name: Monitor, Role: RolePromoted, Timeout: 10 * time.Second, Interval: time.Second,
		Short: "Finds out whether the instance runs and in which role. On the primary, keeps the promotion scores up to date."},
	{Name: Monitor, Role: RoleUnpromoted, Timeout: 10 * time.Second, Interval: 2 * time.Second,
		Short: "Finds out whether the instance runs and in which role."},
	{Name: Notify, Timeout: 60 * time.Second,
		Short: "Prepares and cleans up around the other actions: the vote before a promotion, the checkpoint before a demotion."},
	{Name: MetaData, Timeout: 5 * time.Second,
		Short: "Prints the meta-data."},
	{Name: ValidateAll, Timeout: 5 * time.Second,
		Short: "Checks the parameters and the instance's configuration."},
	{Name: Methods, Timeout: 5 * time.Second,
		Short: "Prints the names of the actions."},
}
