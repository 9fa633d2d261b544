package crm

import (
	"context"
	"slices"
	"strings"
)

// Flags of Corosync's quorum, as corosync-quorumtool(8) shows them.
const (
	FlagTwoNode    = "2Node"          // either of two nodes goes on without the other
	FlagQdevice    = "Qdevice"        // a third vote decides between two halves
	FlagTieBreaker = "AutoTieBreaker" // of two halves that with a named node goes on
)

// QuorumFlags asks Corosync on this node. It answers without a quorum, too.
func (c *Cluster) QuorumFlags(ctx context.Context) ([]string, error) {
	const tool = "corosync-quorumtool"
	result, err := c.result(ctx, tool, "-s")
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(result.Stdout) {
		if name, flags, found := strings.Cut(line, ":"); found && strings.TrimSpace(name) == "Flags" {
			return strings.Fields(flags), nil
		}
	}
	return nil, &ToolError{Tool: tool, Code: result.Code, Text: lastLine(result.Stderr)}
}

// NoQuorumProperty is the property that says what Pacemaker does without a quorum.
const NoQuorumProperty = "no-quorum-policy"

// The values of NoQuorumProperty, see pacemaker-schedulerd(7). Fence has had two names.
const (
	NoQuorumStop    = "stop"   // stops what runs
	NoQuorumFreeze  = "freeze" // leaves what runs, starts and promotes nothing
	NoQuorumDemote  = "demote" // demotes what is promoted, leaves what else runs, starts and promotes nothing
	NoQuorumIgnore  = "ignore" // goes on
	NoQuorumFence   = "fence"  // fences the nodes of that part
	NoQuorumSuicide = "suicide"
)

// NoQuorumPolicy is one of these values: what is none is taken for stop, as by Pacemaker.
func (c CIB) NoQuorumPolicy() string {
	policy := strings.ToLower(c.Properties[NoQuorumProperty])
	if !slices.Contains([]string{NoQuorumFreeze, NoQuorumDemote, NoQuorumIgnore, NoQuorumFence, NoQuorumSuicide}, policy) {
		return NoQuorumStop
	}
	return policy
}
