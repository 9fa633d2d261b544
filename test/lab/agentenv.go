package lab

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
)

// AgentEnv is the environment that Pacemaker 2.1 gives the agent for an action
// on a node, for calling it by hand or measuring it. extra is added, and wins:
// it holds what only some actions get, such as OCF_RESKEY_CRM_meta_interval.
func (l *Lab) AgentEnv(node string, extra map[string]string) []string {
	n := fmt.Sprint(len(l.Nodes()))
	env := map[string]string{
		"OCF_ROOT": "/usr/lib/ocf", "OCF_RA_VERSION_MAJOR": "1", "OCF_RA_VERSION_MINOR": "1",
		"OCF_RESOURCE_INSTANCE": Resource, "OCF_RESOURCE_TYPE": filepath.Base(l.Agent()), "OCF_RESOURCE_PROVIDER": "heartbeat",
		"OCF_RESKEY_crm_feature_set":            "3.16.1",
		"OCF_RESKEY_CRM_meta_on_node":           node,
		"OCF_RESKEY_CRM_meta_timeout":           "10000",
		"OCF_RESKEY_CRM_meta_notify":            "true",
		"OCF_RESKEY_CRM_meta_clone":             "0",
		"OCF_RESKEY_CRM_meta_clone_max":         n,
		"OCF_RESKEY_CRM_meta_clone_node_max":    "1",
		"OCF_RESKEY_CRM_meta_globally_unique":   "false",
		"OCF_RESKEY_CRM_meta_master_max":        "1",
		"OCF_RESKEY_CRM_meta_master_node_max":   "1",
		"OCF_RESKEY_CRM_meta_promoted_max":      "1",
		"OCF_RESKEY_CRM_meta_promoted_node_max": "1",
		"HA_LOGFACILITY":                        "none",
		"HA_LOGFILE":                            "/var/log/pacemaker/pacemaker.log",
	}
	for k, v := range l.ResourceParams() {
		env["OCF_RESKEY_"+k] = v
	}
	maps.Copy(env, extra)
	var out []string
	for _, k := range slices.Sorted(maps.Keys(env)) {
		out = append(out, k+"="+env[k])
	}
	return out
}

// Agent is the path of the agent under test, in every node.
func (l *Lab) Agent() string { return agentPathOf(l.plan.Config.Agent) }
