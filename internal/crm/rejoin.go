package crm

import (
	"context"
	"fmt"
	"strings"

	"github.com/beevik/etree"
)

// RejoinID is the id of the constraint that keeps a clone from a node while its data there
// are made anew. It is none of crm_resource's, so that `crm_resource --clear` does not
// lift it half-way.
func RejoinID(clone, node string) string { return rejoinPrefix + clone + "-on-" + node }

const rejoinPrefix = "pgsqlms-rejoin-"

// IsRejoin says whether a constraint's id is RejoinID's.
func IsRejoin(id string) bool { return strings.HasPrefix(id, rejoinPrefix) }

// Keep asks for a clone to be stopped on a node, and not to be started there, until
// Release: it makes the constraint that RejoinID names, and returns.
func (c *Cluster) Keep(ctx context.Context, clone, node string) error {
	doc := etree.NewDocument()
	e := doc.CreateElement("rsc_location")
	for _, kv := range [][2]string{{"id", RejoinID(clone, node)}, {"rsc", clone}, {"node", node}, {"score", "-INFINITY"}} {
		e.CreateAttr(kv[0], kv[1])
	}
	text, err := doc.WriteToString()
	if err != nil {
		return err
	}
	_, err = c.run(ctx, "cibadmin", "--create", "--scope", "constraints", "--xml-text", text)
	return err
}

// Release takes back the constraint of Keep. One that is not there is fine.
func (c *Cluster) Release(ctx context.Context, clone, node string) error {
	for _, name := range []string{clone, node} {
		if strings.ContainsAny(name, `'"`) { // XPath has no escape for them
			return fmt.Errorf("the name %q has a quotation mark in it", name)
		}
	}
	_, err := c.run(ctx, "cibadmin", "--delete", "--xpath", fmt.Sprintf("//constraints/rsc_location[@id='%s']", RejoinID(clone, node)))
	if isAbsent(err) {
		return nil
	}
	return err
}

// Cleanup has Pacemaker forget the failures of a resource on a node, and look again.
func (c *Cluster) Cleanup(ctx context.Context, resource, node string) error {
	_, err := c.run(ctx, "crm_resource", "--cleanup", "--resource", resource, "--node", node)
	return err
}
