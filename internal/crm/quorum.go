package crm

import (
	"context"
	"slices"
	"strings"

	"github.com/beevik/etree"
)

// Flags of Corosync's quorum, as corosync-quorumtool(8) shows them.
const (
	FlagTwoNode = "2Node"   // either of two nodes goes on without the other
	FlagQdevice = "Qdevice" // a third vote decides between two halves
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

// delayParams delay a fencing by one device: the first two are Pacemaker's, see
// pacemaker-fenced(7), the last one is the fence agents' own.
var delayParams = []string{"pcmk_delay_base", "pcmk_delay_max", "delay"}

// readFencingDelays finds what makes one of two nodes, that each want to fence the other, wait.
func (c *CIB) readFencingDelays(root *etree.Element) {
	resources := root.FindElement("./configuration/resources")
	if resources == nil {
		return
	}
	prioritized := isDelay(c.defaults["priority"])
	for _, e := range resources.FindElements(".//meta_attributes/nvpair[@name='priority']") {
		prioritized = prioritized || isDelay(attr(e, "value"))
	}
	const property = "priority-fencing-delay"
	if value := c.Properties[property]; isDelay(value) && prioritized {
		c.FencingDelays = append(c.FencingDelays, property+"="+value)
	} else if isDelay(value) {
		c.IdleDelay = property + "=" + value
	}
	for _, e := range resources.FindElements(".//primitive") {
		template := templateOf(resources, e)
		if classOf(e, template) != "stonith" {
			continue
		}
		device := Resource{Params: map[string]string{}}
		device.merge(device.Params, root, e, "instance_attributes")
		if template != nil {
			device.merge(device.Params, root, template, "instance_attributes")
		}
		for _, name := range delayParams {
			if value := device.Params[name]; isDelay(value) {
				c.FencingDelays = append(c.FencingDelays, name+"="+value+" of "+attr(e, "id"))
			}
		}
	}
}

func classOf(e, template *etree.Element) string {
	if template != nil {
		return attr(template, "class")
	}
	return attr(e, "class")
}

// isDelay says whether a text has a number in it that is not zero: delays may be given node by
// node, as in n1:0;n2:10s.
func isDelay(text string) bool {
	return slices.ContainsFunc(strings.Split(text, ";"), func(part string) bool {
		if _, of, found := strings.Cut(part, ":"); found {
			part = of
		}
		return strings.ContainsAny(part, "123456789")
	})
}
