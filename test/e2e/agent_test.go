//go:build lab

package e2e

import (
	"context"
	"maps"
	"slices"

	"github.com/stretchr/testify/require"

	"pgsqlms/test/lab"
)

// The exit codes of OCF that tests expect.
const (
	ocfSuccess         = 0
	ocfGeneric         = 1
	ocfNotRunning      = 7
	ocfRunningPromoted = 8
)

const agentFile = "/usr/lib/ocf/resource.d/heartbeat/pgsqlms"

// monitor runs the agent's recurring monitor on a node, as Pacemaker runs it for an instance of a role there. Parameters
// given here count before those of the lab.
func (c *cluster) monitor(node, role string, parameters ...map[string]string) lab.Result {
	c.t.Helper()
	result, err := c.monitorErr(c.ctx, node, role, parameters...)
	require.NoError(c.t, err)
	return result
}

func (c *cluster) monitorErr(ctx context.Context, node, role string, parameters ...map[string]string) (lab.Result, error) {
	env := c.monitorEnv(node, role)
	for _, set := range append([]map[string]string{c.ResourceParams()}, parameters...) {
		env = append(env, variables("OCF_RESKEY_", set)...) // of two with one name the last counts
	}
	return c.Exec(ctx, node, lab.ExecOptions{Env: env}, agentFile, "monitor")
}

// monitorEnv is what Pacemaker gives to a recurring monitor besides the parameters, but for where to log to: the agent
// then logs to standard error.
func (c *cluster) monitorEnv(node, role string) []string {
	return append([]string{
		"OCF_ROOT=/usr/lib/ocf", "OCF_RA_VERSION_MAJOR=1", "OCF_RA_VERSION_MINOR=1", "OCF_CHECK_LEVEL=0",
		"OCF_RESOURCE_INSTANCE=" + lab.Resource, "OCF_RESOURCE_TYPE=pgsqlms", "OCF_RESOURCE_PROVIDER=heartbeat",
		"OCF_RESKEY_crm_feature_set=3.16.1",
	}, variables("OCF_RESKEY_CRM_meta_", map[string]string{
		"clone": "0", "clone_max": "3", "clone_node_max": "1", "globally_unique": "false", "interval": "3000",
		"master_max": "1", "master_node_max": "1", "name": "monitor", "notify": "true", "on_node": node, "on_node_uuid": "1",
		"promoted_max": "1", "promoted_node_max": "1", "role": role, "timeout": "10000",
	})...)
}

// variables makes environment variables of names and values.
func variables(prefix string, values map[string]string) []string {
	var env []string
	for _, name := range slices.Sorted(maps.Keys(values)) {
		env = append(env, prefix+name+"="+values[name])
	}
	return env
}
