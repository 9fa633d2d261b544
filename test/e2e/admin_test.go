//go:build lab

package e2e

import (
	"encoding/xml"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"pgsqlms/test/lab"
)

// run is a command on a node that must succeed.
func (c *cluster) run(node string, argv ...string) string {
	c.t.Helper()
	out, err := c.Run(c.ctx, node, argv...)
	require.NoError(c.t, err)
	return out
}

// try is a command on a node that may fail.
func (c *cluster) try(node string, argv ...string) lab.Result {
	c.t.Helper()
	result, err := c.Exec(c.ctx, node, lab.ExecOptions{}, argv...)
	require.NoError(c.t, err)
	return result
}

func (c *cluster) sql(node, query string) string {
	c.t.Helper()
	out, err := c.SQL(c.ctx, node, query)
	require.NoError(c.t, err)
	return out
}

// any is a node from which the cluster can be asked and told.
func (c *cluster) any() string { return c.Nodes()[0].Name }

// forgetFailures clears Pacemaker's memory of failed actions and waits until it has looked again.
func (c *cluster) forgetFailures() {
	c.t.Helper()
	c.run(c.any(), "crm_resource", "--cleanup", "--resource", lab.Resource)
	c.await("failures forgotten", 30*time.Second, func() error {
		status, err := c.Status(c.ctx)
		if err != nil {
			return err
		}
		if missing := append(status.Missing(), status.Failures...); len(missing) > 0 {
			return errors.New(strings.Join(missing, "; "))
		}
		return nil
	})
}

// cib is the part of the cluster's information base that tests look at.
type cib struct {
	AdminEpoch int `xml:"admin_epoch,attr"`
	Epoch      int `xml:"epoch,attr"`
	NumUpdates int `xml:"num_updates,attr"`
	Locations  []struct {
		ID   string `xml:"id,attr"`
		Node string `xml:"node,attr"`
	} `xml:"configuration>constraints>rsc_location"`
}

// version changes with every change of the CIB.
func (b cib) version() [3]int { return [3]int{b.AdminEpoch, b.Epoch, b.NumUpdates} }

func (c *cluster) cib() cib {
	c.t.Helper()
	var b cib
	require.NoError(c.t, xml.Unmarshal([]byte(c.run(c.any(), "cibadmin", "--query")), &b))
	return b
}

// constraints are the ids of the location rules, which moving a resource leaves behind.
func (c *cluster) constraints() []string {
	c.t.Helper()
	ids := []string{}
	for _, l := range c.cib().Locations {
		ids = append(ids, l.ID)
	}
	slices.Sort(ids)
	return ids
}

// maintenance tells Pacemaker to leave everything alone, or to take care of it again.
func (c *cluster) maintenance(on bool) {
	c.t.Helper()
	c.run(c.any(), "crm_attribute", "--name", "maintenance-mode", "--update", fmt.Sprint(on))
	c.settled()
}

// settled waits until Pacemaker has nothing more to do with the configuration as it is.
func (c *cluster) settled() {
	c.t.Helper()
	c.run(c.any(), "crm_resource", "--wait", "--timeout", "60s")
}
