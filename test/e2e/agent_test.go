//go:build lab

package e2e

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"

	"github.com/stretchr/testify/require"

	"pgsqlms/test/lab"
)

// The exit codes of OCF that tests expect.
const (
	ocfSuccess         = 0
	ocfNotRunning      = 7
	ocfRunningPromoted = 8
)

const agentFile = "/usr/lib/ocf/resource.d/heartbeat/pgsqlms"

// monitor runs the agent's recurring monitor on a node, as Pacemaker runs it for an instance of a role there.
func (c *cluster) monitor(node, role string) lab.Result {
	c.t.Helper()
	result, err := c.monitorErr(c.ctx, node, role)
	require.NoError(c.t, err)
	return result
}

func (c *cluster) monitorErr(ctx context.Context, node, role string) (lab.Result, error) {
	return c.Exec(ctx, node, lab.ExecOptions{Env: c.monitorEnv(node, role)}, agentFile, "monitor")
}

// monitorEnv is the environment that Pacemaker gives to a recurring monitor, but for where to log to, so that the agent
// logs to standard error.
func (c *cluster) monitorEnv(node, role string) []string {
	meta := map[string]string{
		"clone": "0", "clone_max": "3", "clone_node_max": "1", "globally_unique": "false", "interval": "3000",
		"master_max": "1", "master_node_max": "1", "name": "monitor", "notify": "true", "on_node": node, "on_node_uuid": "1",
		"promoted_max": "1", "promoted_node_max": "1", "role": role, "timeout": "10000",
	}
	env := []string{
		"OCF_ROOT=/usr/lib/ocf", "OCF_RA_VERSION_MAJOR=1", "OCF_RA_VERSION_MINOR=1", "OCF_CHECK_LEVEL=0",
		"OCF_RESOURCE_INSTANCE=" + lab.Resource, "OCF_RESOURCE_TYPE=pgsqlms", "OCF_RESOURCE_PROVIDER=heartbeat",
		"OCF_RESKEY_crm_feature_set=3.16.1",
	}
	for _, name := range slices.Sorted(maps.Keys(meta)) {
		env = append(env, fmt.Sprintf("OCF_RESKEY_CRM_meta_%s=%s", name, meta[name]))
	}
	parameters := c.ResourceParams()
	for _, name := range slices.Sorted(maps.Keys(parameters)) {
		env = append(env, fmt.Sprintf("OCF_RESKEY_%s=%s", name, parameters[name]))
	}
	return env
}

// scoreLine is how the agent logs that it writes a promotion score.
var scoreLine = regexp.MustCompile(`promotion score of (\w+): (-?\d+)`)

// scoresWritten are those that a run of the agent wrote, by node.
func scoresWritten(r lab.Result) map[string]string {
	written := map[string]string{}
	for _, m := range scoreLine.FindAllStringSubmatch(r.Stderr, -1) {
		written[m[1]] = m[2]
	}
	return written
}
