//go:build lab

package e2e

import (
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

// ocf-tester of resource-agents runs every action in the orders that OCF asks for, each with little in its environment.
func TestOcfTesterPasses(t *testing.T) {
	c := beginBare(t, 1)
	argv := []string{"ocf-tester", "-v", "-n", "pgsqld"}
	// These three come from Pacemaker in a cluster.
	for _, option := range []string{"CRM_meta_notify=true", "CRM_meta_master_max=1", "crm_feature_set=3.16.1"} {
		argv = append(argv, "-o", option)
	}
	for _, option := range variables("", c.ResourceParams()) {
		argv = append(argv, "-o", option)
	}
	result := c.try(c.any(), append(argv, agentFile)...)
	out := result.Stdout + result.Stderr
	if result.Code != 0 || complaint.MatchString(out) {
		t.Fatalf("exit code %d\n%s", result.Code, out)
	}
	require.Contains(t, result.Stdout, "passed all tests")
}

// complaint is how ocf-tester tells what it does not like, also where it lets it pass.
var complaint = regexp.MustCompile(`(?m)^\* `)
