package crm

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/beevik/etree"

	"pgsqlms/internal/ocf"
)

// State is the cluster as Pacemaker's scheduler sees it now: what crm_mon says.
type State struct {
	DC          string // the designated coordinator's name, empty while there is none
	Version     string // Pacemaker's, of the coordinator; empty if not told
	Quorum      bool
	Fencing     bool // the property stonith-enabled
	Maintenance bool // the property maintenance-mode
	LastChange  time.Time
	Asked       time.Time // when it was asked for, by this node's clock; zero where it was read from a text
	Nodes       []Node
	Instances   []Instance
	Failures    []Failure
	Fencings    []Fencing
	Bans        []Ban // of the location constraints with a negative score that are in effect
}

// Node is one machine of the cluster.
type Node struct {
	Name        string
	Online      bool
	Standby     bool // told to run nothing
	Maintenance bool // told to be left alone
	Pending     bool // in the membership, but not yet, or no longer, in the cluster
	Unclean     bool // lost, and not fenced yet
	Shutdown    bool // leaving
	Remote      bool // runs no cluster of its own, and no PostgreSQL for this agent
}

// Instance is one instance of a resource, a clone's or a plain one's.
type Instance struct {
	Resource string // the primitive's name, without :N
	Clone    string // empty for a plain resource
	Agent    string // as in ocf:heartbeat:pgsqlms
	Node     string // empty where it runs nowhere
	Role     Role
	Managed  bool // false: Pacemaker leaves it alone
	Failed   bool
	Blocked  bool   // Pacemaker can do nothing more for it
	Pending  string // the action under way, as in "Promoting"; empty mostly
}

// UnderWay says that Pacemaker does something with the instance, other than to watch it.
func (i Instance) UnderWay() bool { return i.Pending != "" && i.Pending != "Monitoring" }

// Role is what Pacemaker holds an instance for, in the words since 2.1.
type Role string

// The roles of instances.
const (
	RolePromoted   Role = "Promoted"
	RoleUnpromoted Role = "Unpromoted"
	RoleStarted    Role = "Started"
	RoleStopped    Role = "Stopped"
)

func roleOf(s string) Role {
	switch s {
	case "Master":
		return RolePromoted
	case "Slave":
		return RoleUnpromoted
	}
	return Role(s)
}

// Failure is a failed action that Pacemaker remembers.
type Failure struct {
	Operation string // as in pgsqld_monitor_15000
	Node      string
	Task      string // as in monitor
	Code      int    // the action's exit code
	Text      string // of the exit code, as in "not running"
	Reason    string // the exit reason, at most 128 characters of it; may be empty
	At        time.Time
}

// Resource is the name of the resource whose action failed.
func (f Failure) Resource() string {
	name, _, _ := strings.Cut(f.Operation, "_"+f.Task+"_")
	if base, _, found := strings.Cut(name, ":"); found {
		return base
	}
	return name
}

// Fencing is one request to fence a node that Pacemaker remembers.
type Fencing struct {
	Action    string // as in reboot
	Target    string
	By        string // the node that asked for it
	Status    string // success, failed, or pending
	Reason    string
	Completed time.Time // zero while it is pending
}

// Ban is a location constraint that keeps a resource from a node, as Pacemaker has
// evaluated it: rules, patterns and sets of resources included.
type Ban struct {
	ID       string
	Resource string
	Node     string
	Score    int  // below 0; -Infinity and less for never
	Promoted bool // from the promoted role only
}

// State asks crm_mon. Without a cluster on this node that is a *ToolError, with the code
// 102 mostly.
func (c *Cluster) State(ctx context.Context) (State, error) {
	asked := time.Now()
	result, err := c.result(ctx, "crm_mon", "--output-as=xml")
	if err != nil {
		return State{}, err
	}
	if result.Code != 0 {
		text := lastLine(result.Stderr)
		if text == "" {
			text = complaintOf(result.Stdout)
		}
		return State{}, &ToolError{Tool: "crm_mon", Code: result.Code, Text: text}
	}
	s, err := ParseState(result.Stdout)
	s.Asked = asked
	return s, err
}

// complaintOf is what crm_mon says has gone wrong, which it writes as XML as well.
func complaintOf(text string) string {
	root, err := rootOf(text, "pacemaker-result")
	if err != nil {
		return ""
	}
	if all := root.FindElements("./status/errors/error"); len(all) > 0 {
		return strings.TrimSpace(all[len(all)-1].Text()) // the last one sums up
	}
	if e := root.FindElement("./status"); e != nil {
		return attr(e, "message")
	}
	return ""
}

// ParseState reads the XML of crm_mon, of Pacemaker 2.0.3 and later. What is missing is
// left zero; a text that is no such XML is an error.
func ParseState(text string) (State, error) {
	root, err := rootOf(text, "pacemaker-result")
	if err != nil {
		return State{}, fmt.Errorf("crm_mon: %w", err)
	}
	var s State
	s.readSummary(root)
	for _, e := range root.FindElements("./nodes/node") {
		s.Nodes = append(s.Nodes, readNode(e))
	}
	s.readInstances(root)
	for _, e := range root.FindElements("./failures/failure") {
		s.Failures = append(s.Failures, readFailure(e))
	}
	for _, e := range root.FindElements("./fence_history/fence_event") {
		s.Fencings = append(s.Fencings, Fencing{
			Action: attr(e, "action"), Target: attr(e, "target"), By: attr(e, "origin"), Status: attr(e, "status"),
			Reason: again(attr(e, "exit-reason")), Completed: moment(attr(e, "completed")),
		})
	}
	for _, e := range root.FindElements("./bans/ban") {
		s.Bans = append(s.Bans, readBan(e))
	}
	return s, nil
}

func readBan(e *etree.Element) Ban {
	b := Ban{
		ID: attr(e, "id"), Resource: attr(e, "resource"), Node: attr(e, "node"),
		Promoted: ocf.IsTrue(attr(e, "promoted-only")) || ocf.IsTrue(attr(e, "master_only")),
	}
	var err error
	if b.Score, err = parseScore(attr(e, "weight")); err != nil {
		b.Score = -Infinity // what is listed keeps it away, and this is to be on the safe side
	}
	return b
}

func (s *State) readSummary(root *etree.Element) {
	if dc := root.FindElement("./summary/current_dc"); dc != nil && ocf.IsTrue(attr(dc, "present")) {
		s.DC, s.Version = attr(dc, "name"), attr(dc, "version")
		s.Quorum = ocf.IsTrue(attr(dc, "with_quorum"))
	}
	if options := root.FindElement("./summary/cluster_options"); options != nil {
		s.Fencing = ocf.IsTrue(attr(options, "stonith-enabled"))
		s.Maintenance = ocf.IsTrue(attr(options, "maintenance-mode"))
	}
	if change := root.FindElement("./summary/last_change"); change != nil {
		s.LastChange = moment(attr(change, "time"))
	}
}

func readNode(e *etree.Element) Node {
	return Node{
		Name: attr(e, "name"), Online: ocf.IsTrue(attr(e, "online")),
		Standby:     ocf.IsTrue(attr(e, "standby")) || ocf.IsTrue(attr(e, "standby_onfail")),
		Maintenance: ocf.IsTrue(attr(e, "maintenance")), Pending: ocf.IsTrue(attr(e, "pending")),
		Unclean: ocf.IsTrue(attr(e, "unclean")), Shutdown: ocf.IsTrue(attr(e, "shutdown")), Remote: attr(e, "type") == "remote",
	}
}

// readInstances finds resources wherever they are: alone, in clones, in groups.
func (s *State) readInstances(root *etree.Element) {
	for _, e := range root.FindElements("./resources//resource") {
		i := Instance{
			Agent: attr(e, "resource_agent"), Role: roleOf(attr(e, "role")), Managed: ocf.IsTrue(attr(e, "managed")),
			Failed: ocf.IsTrue(attr(e, "failed")), Blocked: ocf.IsTrue(attr(e, "blocked")), Pending: attr(e, "pending"),
		}
		i.Resource, _, _ = strings.Cut(attr(e, "id"), ":")
		for up := e.Parent(); up != nil && up.Tag != "resources"; up = up.Parent() {
			if up.Tag == "clone" {
				i.Clone = attr(up, "id")
			}
		}
		on := e.SelectElements("node")
		if len(on) == 0 {
			s.Instances = append(s.Instances, i)
		}
		for _, node := range on {
			i.Node = attr(node, "name")
			s.Instances = append(s.Instances, i)
		}
	}
}

func readFailure(e *etree.Element) Failure {
	return Failure{
		Operation: attr(e, "op_key"), Node: attr(e, "node"), Task: attr(e, "task"), Code: number(attr(e, "exitcode")),
		Text: again(attr(e, "exitstatus")), Reason: again(attr(e, "exitreason")), At: moment(attr(e, "last-rc-change")),
	}
}

// Node is the one of that name.
func (s State) Node(name string) (Node, bool) {
	n := slices.IndexFunc(s.Nodes, func(n Node) bool { return n.Name == name })
	if n < 0 {
		return Node{}, false
	}
	return s.Nodes[n], true
}

// Members is the number of the cluster's own nodes that Pacemaker knows, up or lost.
func (s State) Members() (n int) {
	for _, node := range s.Nodes {
		if !node.Remote {
			n++
		}
	}
	return n
}

// On is the instance of a resource on a node.
func (s State) On(resource, node string) (Instance, bool) {
	n := slices.IndexFunc(s.Instances, func(i Instance) bool { return i.Resource == resource && i.Node == node })
	if n < 0 {
		return Instance{}, false
	}
	return s.Instances[n], true
}

// Promoted are the nodes on which Pacemaker holds a resource for promoted. One whose
// promotion failed is among them until it is demoted; see Primaries.
func (s State) Promoted(resource string) (nodes []string) {
	return s.where(resource, func(i Instance) bool { return i.Role == RolePromoted })
}

// Promoted asks for State's Promoted.
func (c *Cluster) Promoted(ctx context.Context, resource string) ([]string, error) {
	s, err := c.State(ctx)
	return s.Promoted(resource), err
}

// Primaries are those of Promoted on which the last operation did not fail, be it a
// promotion.
func (s State) Primaries(resource string) (nodes []string) {
	return s.where(resource, func(i Instance) bool { return i.Role == RolePromoted && !i.Failed })
}

func (s State) where(resource string, is func(Instance) bool) (nodes []string) {
	for _, i := range s.Instances {
		if i.Resource == resource && i.Node != "" && is(i) {
			nodes = append(nodes, i.Node)
		}
	}
	return nodes
}
