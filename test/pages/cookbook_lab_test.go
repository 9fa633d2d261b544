//go:build lab && cookbook

package pages

import (
	"os"
	"regexp"
	"testing"

	"pgsqlms/test/lab"
)

// These take longer than the other tests; "make cookbook" runs them.

// The cookbook, in the cluster that the quick start for Debian makes. TASKS is for whoever writes a task: only those are tried whose heading it matches.
func TestCookbook(t *testing.T) {
	newDebian(t, "c").tryAbout("cookbook.md", regexp.MustCompile(os.Getenv("TASKS")))
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
