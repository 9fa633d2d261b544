package blackbox

import (
	"slices"
	"strings"
)

// pacemakerEnvironment is what Pacemaker 2.1.5 passes to every action of the resource, and the parameters.
func pacemakerEnvironment(w *world) map[string]string {
	env := map[string]string{
		"PATH":                  "/usr/sbin:/usr/bin:/sbin:/bin",
		"HA_SBIN_DIR":           w.sbin(),
		"HA_RSCTMP":             w.run(),
		"HA_LOGFILE":            w.log(),
		"PGSQLMS_LOG_DIR":       w.output(),
		"OCF_ROOT":              "/usr/lib/ocf",
		"OCF_RA_VERSION_MAJOR":  "1",
		"OCF_RA_VERSION_MINOR":  "1",
		"OCF_RESOURCE_INSTANCE": "pgsqld",
		"OCF_RESOURCE_TYPE":     "pgsqlms",
		"OCF_RESOURCE_PROVIDER": "heartbeat",

		"OCF_RESKEY_crm_feature_set": "3.16.1",
	}
	for name, value := range map[string]string{
		"system_user": w.user.Username, "bindir": w.bin(), "pgdata": w.data(), "pghost": w.sockets(),
	} {
		env[param(name)] = value
	}
	for name, value := range map[string]string{
		"clone": "0", "clone_max": "3", "clone_node_max": "1", "globally_unique": "false", "notify": "true",
		"promoted_max": "1", "promoted_node_max": "1", "master_max": "1", "master_node_max": "1",
		"on_node": "n1", "on_node_uuid": "1",
	} {
		env[meta(name)] = value
	}
	return env
}

func param(name string) string { return "OCF_RESKEY_" + name }
func meta(name string) string  { return "OCF_RESKEY_CRM_meta_" + name }

// byHand takes out what is missing when a person runs the action with crm_resource --force-check and its like.
func (w *world) byHand() {
	for _, name := range []string{
		"on_node", "on_node_uuid", "clone_max", "clone_node_max", "master_max", "master_node_max", "promoted_node_max",
	} {
		delete(w.env, meta(name))
	}
	w.lists = nil
	w.env["OCF_OUTPUT_FORMAT"] = "text"
	w.env["OCF_TRACE_FILE"] = "/dev/stderr"
	w.env[meta("class")], w.env[meta("provider")], w.env[meta("type")] = "ocf", "heartbeat", "pgsqlms"
}

// listNames are the lists of node names that come with start, stop, promote, demote and notify.
var listNames = []string{"active", "promoted", "unpromoted", "start", "stop", "promote", "demote", "available"}

// oldNames are what Pacemaker 2.0 called them; all versions still send both.
var oldNames = map[string]string{"promoted": "master", "unpromoted": "slave"}

// setLists describes a transition. Pacemaker gives an empty list as a single space.
func (w *world) setLists(lists map[string]string) {
	w.lists = map[string]string{}
	for _, name := range listNames {
		value := lists[name]
		if value == "" {
			value = " "
		}
		w.lists[name] = value
		if old, ok := oldNames[name]; ok {
			w.lists[old] = value
		}
	}
}

// invocation is one call of the agent: an action, for notify with its phase, such as pre-promote.
type invocation struct{ action, phase string }

// The operations' timeouts, in milliseconds, unless a script sets another one.
const (
	monitorTimeout = "10000"
	otherTimeout   = "60000"
)

// probe is monitor as Pacemaker runs it to find out what a node has: without an interval.
const probe = "probe"

func (i invocation) arguments() []string {
	switch i.action {
	case "":
		return nil
	case probe:
		return []string{"monitor"}
	}
	return []string{i.action}
}

// environment is the environment of one call, as os/exec takes it.
func (w *world) environment(i invocation) []string {
	own := map[string]string{meta("timeout"): otherTimeout, meta("name"): i.action}
	switch i.action {
	case "monitor":
		own[meta("timeout")] = monitorTimeout
		own[meta("interval")] = "15000"
		own[meta("role")] = "Promoted"
	case probe:
		own[meta("timeout")] = monitorTimeout
	default:
		for name, value := range w.lists {
			own[meta("notify_"+name+"_uname")] = value
		}
	}
	if before, operation, ok := strings.Cut(i.phase, "-"); ok {
		own[meta("notify_type")], own[meta("notify_operation")] = before, operation
	}
	for name, value := range w.env {
		own[name] = value
	}
	env := make([]string, 0, len(own))
	for name, value := range own {
		env = append(env, name+"="+value)
	}
	slices.Sort(env)
	return env
}
