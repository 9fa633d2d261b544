//go:build lab && cookbook

package pages

import (
	"os"
	"regexp"
	"slices"
	"testing"

	"pgsqlms/test/lab"
)

// These take longer than the other tests; "make cookbook" runs them.

// ofTwo are the cookbook's tasks for a cluster of two nodes.
var ofTwo = []string{"Two nodes", "A third vote: qdevice"}

// The cookbook, in the cluster that the quick start for Debian makes. TASKS is for whoever writes a task: only those are tried whose heading it matches.
func TestCookbook(t *testing.T) {
	about := regexp.MustCompile(os.Getenv("TASKS"))
	newDebian(t, "c").tryAbout("cookbook.md", func(task string) bool { return about.MatchString(task) && !slices.Contains(ofTwo, task) })
}

// The cookbook's tasks for two nodes, of which the third has been removed; that is the machine for a third vote then.
func TestCookbookOfTwo(t *testing.T) {
	r := newDebian(t, "two", "corosync-qdevice", "corosync-qnetd")
	r.tryTask("cookbook.md", "Remove a node")
	r.tryTask("cookbook.md", ofTwo[0])
	for _, n := range r.Nodes() {
		r.as(n.Name, "systemctl start pcsd") // as Debian's package does
	}
	r.as("n3", "systemctl start corosync-qnetd")
	r.tryTask("cookbook.md", ofTwo[1])
}

// The quick start for Enterprise Linux from its second step on: its paths, with Debian's programs.
func TestQuickStartEL(t *testing.T) {
	r := newReader(t, "e", lab.Config{NoResources: true})
	r.enterpriseLinux()
	r.try("quickstart-el.md")
	r.as("n1", "su postgres -c '/usr/pgsql-15/bin/pg_controldata /var/lib/pgsql/15/data' | grep -x 'Data page checksum version: *1'")
}

// From ocf:heartbeat:pgsql, set up as its documentation says.
func TestMigrationFromPgsql(t *testing.T) {
	r := newReader(t, "m", lab.Config{Agent: lab.AgentShell, Sync: true})
	r.firstIsPrimary()
	r.try("migration.md")
}
