package crm

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// MoveID is the id of the constraint that `crm_resource --move` makes for a resource.
// There is one a resource: a second move replaces the first one's.
func MoveID(resource string) string { return "cli-prefer-" + resource }

// IsMove says whether a constraint's id is of those that crm_resource makes, with --move
// (cli-prefer) or with --ban (cli-ban).
func IsMove(id string) bool {
	return strings.HasPrefix(id, "cli-prefer-") || strings.HasPrefix(id, "cli-ban-")
}

// MovePromoted asks for the promoted role of a promotable clone to be moved to a node: it
// makes a location constraint, which takes back any that MoveID names, and returns. After
// that lifetime, from now on by this node's clock, the constraint holds no more: the
// coordinator judges it by its own clock. The version is Pacemaker's, as in State.Version.
//
// With a lifetime crm_resource writes a rule, and the role beside it, where Pacemaker does
// not look for a rule's (generate_location_rule in pcmk_sched_location.c): the constraint
// holds for the node whatever the role. A promotion goes by the sum of both
// (add_sort_index_to_node_score in pcmk_sched_promotable.c), so the role moves all the same.
func (c *Cluster) MovePromoted(ctx context.Context, clone, node, version string, lifetime time.Duration) error {
	_, err := c.run(ctx, "crm_resource", MoveArguments(clone, node, version, lifetime)...)
	return err
}

// MoveArguments are what MovePromoted gives to crm_resource.
func MoveArguments(clone, node, version string, lifetime time.Duration) []string {
	role := "--promoted" // since 2.1.0
	if old(version) {
		role = "--master"
	}
	seconds := int64((lifetime + time.Second - 1) / time.Second)
	return []string{"--move", "--resource", clone, role, "--node", node, "--lifetime", fmt.Sprintf("PT%dS", seconds)}
}

// old says whether a version of Pacemaker is before 2.1. One that cannot be read is not.
func old(version string) bool {
	first, rest, _ := strings.Cut(version, ".")
	second, _, _ := strings.Cut(rest, ".")
	major, err := strconv.Atoi(first)
	minor, minorErr := strconv.Atoi(second)
	return err == nil && (major < 2 || major == 2 && minorErr == nil && minor < 1)
}

// Unmove takes back the constraint that MovePromoted made for that node, and no other:
// `crm_resource --clear` would also lift a ban on the node, or a move that somebody else
// has made since. The node is an attribute, or in the rule that a lifetime makes. One that is
// not there is fine.
func (c *Cluster) Unmove(ctx context.Context, clone, node string) error {
	for _, name := range []string{clone, node} {
		if strings.ContainsAny(name, `'"`) { // XPath has no escape for them
			return fmt.Errorf("the name %q has a quotation mark in it", name)
		}
	}
	_, err := c.run(ctx, "cibadmin", "--delete", "--xpath",
		fmt.Sprintf("//constraints/rsc_location[@id='%s' and (@node='%s' or rule/expression[@attribute='#uname' and @operation='eq' and @value='%[2]s'])]",
			MoveID(clone), node))
	if isAbsent(err) {
		return nil
	}
	return err
}

// Duration reads a time as the cluster's configuration has it: a number with a unit, or
// without one for seconds, as crm_get_msec of Pacemaker does. ok is false for what is
// none, and for the forms of ISO 8601.
func Duration(text string) (d time.Duration, ok bool) {
	text = strings.TrimSpace(text)
	digits := strings.TrimLeft(text, "0123456789")
	n, err := strconv.ParseInt(text[:len(text)-len(digits)], 10, 32)
	unit, known := durationUnits[strings.ToLower(strings.TrimSpace(digits))]
	if err != nil || !known {
		return 0, false
	}
	return time.Duration(n) * unit, true
}

var durationUnits = map[string]time.Duration{
	"": time.Second, "s": time.Second, "sec": time.Second, "ms": time.Millisecond, "msec": time.Millisecond,
	"us": time.Microsecond, "usec": time.Microsecond, "m": time.Minute, "min": time.Minute, "h": time.Hour, "hr": time.Hour,
}
