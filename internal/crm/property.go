package crm

import (
	"context"
	"strings"
)

// propertySet is the id of the cluster_property_set in the CIB that holds what must
// outlive every node: Pacemaker takes no notice of properties it does not know, and pcs
// and crmsh show them with the others.
const propertySet = "pgsqlms-lineage"

// PropertyName is the name of the durable record of a resource.
func PropertyName(resource string) string { return "pgsqlms-" + resource }

// Property is the durable record of a resource: a value in the CIB's configuration,
// which every node has on disk. ok is false when there is none.
func (c *Cluster) Property(ctx context.Context, resource string) (value string, ok bool, err error) {
	out, err := c.run(ctx, "crm_attribute", "-t", "crm_config", "-s", propertySet,
		"-n", PropertyName(resource), "-G", "-q")
	if isAbsent(err) {
		return "", false, nil
	}
	value = strings.TrimSpace(out)
	return value, err == nil && value != "", err
}

// SetProperty writes the durable record of a resource. Pacemaker then breaks off a
// running transition and computes a new one.
func (c *Cluster) SetProperty(ctx context.Context, resource, value string) error {
	_, err := c.run(ctx, "crm_attribute", "-t", "crm_config", "-s", propertySet,
		"-n", PropertyName(resource), "-v", value)
	return err
}

// DeleteLastingScore removes a node's promotion score that outlives its reboots, as PAF
// leaves them: it would count again whenever the node has no other one. None being
// there is fine.
func (c *Cluster) DeleteLastingScore(ctx context.Context, node, resource string) error {
	_, err := c.run(ctx, "crm_attribute", "-t", "nodes", "-N", node, "-n", ScoreAttribute(resource), "-D")
	if isAbsent(err) {
		return nil
	}
	return err
}

// StatusAttribute is the node attribute in which crm_mon -A shows what is the matter
// with a node's instance.
func StatusAttribute(resource string) string { return resource + "-status" }

// SetStatus sets it until the node's next reboot, or deletes it when text is empty.
func (c *Cluster) SetStatus(ctx context.Context, node, resource, text string) error {
	action := "--update=" + plain(text)
	if text == "" {
		action = "-D"
	}
	_, err := c.run(ctx, "attrd_updater", "-n", StatusAttribute(resource), "-N", node, action)
	return err
}

// maxStatus is as much as crm_mon shows on a line without breaking its table.
const maxStatus = 240

// plain leaves printable ASCII without quotes: releases of Pacemaker differ in what they
// make of the rest.
func plain(text string) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case r == '"' || r == '`':
			return '\''
		case r < ' ' || r > '~':
			return ' '
		}
		return r
	}, text)
	return text[:min(len(text), maxStatus)]
}
