//go:build lab && cookbook

package pages

import (
	"os"
	"regexp"
	"testing"
)

// The cookbook, in the cluster that the quick start for Debian makes. It takes longer than the other tests; "make cookbook" runs
// it. TASKS is for whoever writes a task: only those are tried whose heading it matches.
func TestCookbook(t *testing.T) {
	newDebian(t, "c").tryAbout("cookbook.md", regexp.MustCompile(os.Getenv("TASKS")))
}
