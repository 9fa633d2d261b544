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

// Quorum is Corosync's.
type Quorum struct {
	Flags    []string
	Expected int // votes of all nodes and of a qdevice; zero where it was not said
}

// Has says whether one of these flags is set.
func (q Quorum) Has(flags ...string) bool {
	return slices.ContainsFunc(flags, func(flag string) bool { return slices.Contains(q.Flags, flag) })
}

// Quorum asks Corosync on this node. It answers without a quorum, too.
func (c *Cluster) Quorum(ctx context.Context) (q Quorum, err error) {
	const tool = "corosync-quorumtool"
	result, err := c.result(ctx, tool, "-s")
	if err != nil {
		return q, err
	}
	found := false
	for line := range strings.Lines(result.Stdout) {
		name, value, _ := strings.Cut(line, ":")
		switch strings.TrimSpace(name) {
		case "Expected votes":
			q.Expected = number(strings.TrimSpace(value))
		case "Flags":
			q.Flags, found = strings.Fields(value), true
		}
	}
	if !found {
		return q, &ToolError{Tool: tool, Code: result.Code, Text: lastLine(result.Stderr)}
	}
	return q, nil
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
