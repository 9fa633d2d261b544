package crm

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/beevik/etree"
)

// FenceDevice is a fence device as it is configured.
type FenceDevice struct {
	Name   string
	Params map[string]string
}

// Names says whether the device's own parameters name a node, as pacemaker-fenced(7) has them.
// Of a device that names none its agent tells whom it can fence.
func (d FenceDevice) Names(node string) bool {
	for _, name := range []string{"pcmk_host_list", "pcmk_host_map"} {
		for _, target := range strings.FieldsFunc(d.Params[name], func(r rune) bool { return strings.ContainsRune(" \t\n,;", r) }) {
			target, _, _ = strings.Cut(target, ":")
			if strings.EqualFold(target, node) {
				return true
			}
		}
	}
	return false
}

func readFenceDevices(root *etree.Element) (found []FenceDevice) {
	resources := root.FindElement("./configuration/resources")
	if resources == nil {
		return nil
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
		found = append(found, FenceDevice{attr(e, "id"), device.Params})
	}
	return found
}

func classOf(e, template *etree.Element) string {
	if template != nil {
		return attr(template, "class")
	}
	return attr(e, "class")
}

// hasPriority says whether any resource has one.
func hasPriority(root *etree.Element, defaults map[string]string) bool {
	return isDelay(defaults["priority"]) || slices.ContainsFunc(root.FindElements("./configuration/resources//meta_attributes/nvpair[@name='priority']"),
		func(e *etree.Element) bool { return isDelay(attr(e, "value")) })
}

// delayParams delay a fencing by one device: the first two are Pacemaker's, see
// pacemaker-fenced(7), the last one is the fence agents' own.
var delayParams = []string{"pcmk_delay_base", "pcmk_delay_max", "delay"}

// FencingDelays are what makes one node wait when two want to fence each other, as in delay=10s
// of fence-n1. One by priority, of which no resource has any, is idle: it delays nothing.
func (c CIB) FencingDelays() (delays []string, idle string) {
	const property = "priority-fencing-delay"
	if value := c.Properties[property]; isDelay(value) && c.prioritized {
		delays = append(delays, property+"="+value)
	} else if isDelay(value) {
		idle = property + "=" + value
	}
	for _, device := range c.FenceDevices {
		for _, name := range delayParams {
			if value := device.Params[name]; isDelay(value) {
				delays = append(delays, name+"="+value+" of "+device.Name)
			}
		}
	}
	return delays, idle
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

// Fencers are the devices with which this node could fence another, as its fencer says: those
// that no constraint keeps off this node, and whose parameters or agent name the other.
func (c *Cluster) Fencers(ctx context.Context, node string) (devices []string, err error) {
	const tool = "stonith_admin"
	out, err := c.run(ctx, tool, "--list", node, "--output-as=xml")
	if err != nil {
		return nil, err
	}
	root, err := rootOf(out, "pacemaker-result")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", tool, err)
	}
	for _, item := range root.FindElements("./list/item") {
		devices = append(devices, item.Text())
	}
	return devices, nil
}
