package ocf

import (
	"fmt"
	"strings"
)

// Notification is what Pacemaker says of a transition in the variables
// OCF_RESKEY_CRM_meta_notify_*. It is one snapshot, taken before the transition
// began, and the same in every phase of it. The lists also come with start, stop,
// promote and demote, where Type and Operation are empty; a monitor has none.
type Notification struct {
	Type      string // "pre" or "post"
	Operation string // "start", "stop", "promote" or "demote"

	// Node names, in Pacemaker's order.
	Active, Promoted, Unpromoted []string
	Start, Stop, Promote, Demote []string
	Available                    []string
	present                      bool
	problem                      error
}

// The limits keep a hostile or broken environment from costing memory: a cluster
// has at most a few dozen nodes, and a node name is a host name (RFC 1123).
const (
	maxListBytes = 64 << 10
	maxNameBytes = 255
)

// Present says whether the lists came at all: they do not when a person runs the
// action with crm_resource --force-*, or ocf-tester does.
func (n Notification) Present() bool { return n.present }

// Problem is what made the lists unusable, nil when they are fine.
func (n Notification) Problem() error { return n.problem }

// Phase is type and operation in one word: "pre-promote", "" when there is none.
func (n Notification) Phase() string {
	if n.Type == "" && n.Operation == "" {
		return ""
	}
	return n.Type + "-" + n.Operation
}

const notifyPrefix = "CRM_meta_notify_"

// Since 2.1.0 Pacemaker sends promoted and unpromoted; all versions send master and
// slave, 2.0 only those.
func parseNotification(get func(string) (string, bool)) Notification {
	n := Notification{}
	n.Type, _ = get(notifyPrefix + "type")
	n.Operation, _ = get(notifyPrefix + "operation")
	lists := []struct {
		to   *[]string
		name []string
	}{
		{&n.Active, []string{"active_uname"}},
		{&n.Promoted, []string{"promoted_uname", "master_uname"}},
		{&n.Unpromoted, []string{"unpromoted_uname", "slave_uname"}},
		{&n.Start, []string{"start_uname"}},
		{&n.Stop, []string{"stop_uname"}},
		{&n.Promote, []string{"promote_uname"}},
		{&n.Demote, []string{"demote_uname"}},
		{&n.Available, []string{"available_uname"}},
	}
	for _, l := range lists {
		name, value := firstSet(get, l.name)
		if name == "" {
			continue
		}
		n.present = true
		names, err := nodeNames(value)
		if err == nil {
			err = asManyInstances(get, name, len(names))
		}
		if err != nil && n.problem == nil {
			n.problem = fmt.Errorf("OCF_RESKEY_%s%s %w", notifyPrefix, name, err)
		}
		*l.to = names
	}
	return n
}

func firstSet(get func(string) (string, bool), names []string) (name, value string) {
	for _, name := range names {
		if v, ok := get(notifyPrefix + name); ok {
			return name, v
		}
	}
	return "", ""
}

// asManyInstances holds a list of nodes against the list of the same instances that
// comes with it: Pacemaker writes both from one table, a word in each for every row.
func asManyInstances(get func(string) (string, bool), name string, nodes int) error {
	kind, _ := strings.CutSuffix(name, "_uname")
	value, ok := get(notifyPrefix + kind + "_resource")
	if n := len(strings.Fields(value)); ok && n != nodes {
		return fmt.Errorf("names %d nodes, expected %d as OCF_RESKEY_%s%s_resource has instances", nodes, n, notifyPrefix, kind)
	}
	return nil
}

// nodeNames splits a list. An empty list comes as a single space.
func nodeNames(value string) ([]string, error) {
	if len(value) > maxListBytes {
		return nil, fmt.Errorf("is %d bytes long, expected at most %d", len(value), maxListBytes)
	}
	names := strings.Fields(value)
	for _, name := range names {
		if len(name) > maxNameBytes || !printable(name) {
			return nil, fmt.Errorf("holds %.40q, expected names of nodes separated by spaces", name)
		}
	}
	return names, nil
}

func printable(s string) bool {
	for _, r := range s {
		if r <= ' ' || r == 0x7f || r == '\ufffd' {
			return false
		}
	}
	return true
}
