package crm

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/beevik/etree"

	"pgsqlms/internal/ocf"
)

// CIB is the cluster information base: the configuration, and with Pacemaker up what
// each node has reported.
type CIB struct {
	Written    time.Time // when the configuration was last changed
	Quorum     bool      // as the coordinator last saw it
	Properties map[string]string
	NodeNames  []string // of the cluster's own nodes that are configured: not of remote ones
	Resources  []Resource
	Locations  []Location

	Colocations []Colocation // those of two resources; sets are not read
	Orders      []Order      // the same
	OrderSets   []string     // ids of those that order sets of resources

	ColocationSets []string // ids of those that colocate sets of resources

	FenceDevices []FenceDevice
	prioritized  bool // a resource has a priority

	groups         map[string][]string          // members by the group's name
	nodeIDs        map[string]string            // names by the cluster's own ids
	nodeAttributes map[string]map[string]string // by node: those that last
	transient      map[string]map[string]string // by node: those until its reboot
	history        []Operation
	defaults       map[string]string // of all resources' meta attributes
}

// Operation is the last action of its kind on one node, as far as Pacemaker remembers.
type Operation struct {
	Node     string
	Resource string
	Task     string // as in promote
	Interval time.Duration
	Code     int
	Done     bool // false while it is under way, or where its result never came
	Reason   string
	At       time.Time // when the result was first had
}

// CIB asks for the live one. Without a cluster on this node that is an error.
func (c *Cluster) CIB(ctx context.Context) (CIB, error) {
	out, err := c.run(ctx, "cibadmin", "--query")
	if err != nil {
		return CIB{}, err
	}
	return ParseCIB(out)
}

// CIBFile is where every node keeps its copy of the configuration.
const CIBFile = "/var/lib/pacemaker/cib/cib.xml"

// maxCIB is more bytes than the CIB of any cluster has.
const maxCIB = 64 << 20

// CIBOnDisk reads this node's copy of the configuration, which is there without
// Pacemaker too. It may be older than the cluster's, and has no state in it. Root or
// hacluster may read it.
func CIBOnDisk(path string) (CIB, error) {
	// The directory is hacluster's: a link in the file's place is not followed, and the
	// writer of a pipe not waited for.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return CIB{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return CIB{}, err
	}
	if !info.Mode().IsRegular() {
		return CIB{}, fmt.Errorf("%s: not a regular file", path)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxCIB))
	if err != nil {
		return CIB{}, err
	}
	cib, err := ParseCIB(string(text))
	if err != nil {
		return CIB{}, fmt.Errorf("%s: %w", filepath.Base(path), err)
	}
	return cib, nil
}

// ParseCIB reads a CIB's XML, of Pacemaker 2.0 and later. What is missing is left zero; a
// text that is no such XML is an error.
func ParseCIB(text string) (CIB, error) {
	root, err := rootOf(text, "cib")
	if err != nil {
		return CIB{}, fmt.Errorf("CIB: %w", err)
	}
	c := CIB{
		Written: moment(attr(root, "cib-last-written")), Quorum: ocf.IsTrue(attr(root, "have-quorum")),
		Properties: map[string]string{}, nodeIDs: map[string]string{},
		nodeAttributes: map[string]map[string]string{}, transient: map[string]map[string]string{},
	}
	// Where two sets have a property of one name, the first one counts.
	for _, e := range root.FindElements("./configuration/crm_config/cluster_property_set/nvpair") {
		setOnce(c.Properties, attr(e, "name"), attr(e, "value"))
	}
	for _, e := range root.FindElements("./configuration/nodes/node") {
		name := attr(e, "uname")
		// Pacemaker names the type of those that it has made an entry for, and compares it so.
		if !strings.EqualFold(attr(e, "type"), "remote") {
			c.NodeNames = append(c.NodeNames, name)
		}
		c.nodeIDs[attr(e, "id")] = name
		c.nodeAttributes[name] = pairs(e, "instance_attributes")
	}
	c.Resources = readResources(root)
	c.Locations = readLocations(root)
	c.defaults = map[string]string{}
	if e := root.FindElement("./configuration/rsc_defaults"); e != nil {
		maps.Copy(c.defaults, pairs(e, "meta_attributes"))
	}
	c.readRules(root)
	c.FenceDevices, c.prioritized = readFenceDevices(root), hasPriority(root, c.defaults)
	c.readStatus(root)
	return c, nil
}

func (c *CIB) readStatus(root *etree.Element) {
	for _, state := range root.FindElements("./status/node_state") {
		node := attr(state, "uname")
		for _, e := range state.SelectElements("transient_attributes") {
			if c.transient[node] == nil {
				c.transient[node] = map[string]string{}
			}
			for name, value := range pairs(e, "instance_attributes") {
				setOnce(c.transient[node], name, value)
			}
		}
		for _, e := range state.FindElements("./lrm/lrm_resources/lrm_resource") {
			resource, _, _ := strings.Cut(attr(e, "id"), ":")
			for _, op := range e.SelectElements("lrm_rsc_op") {
				c.history = append(c.history, readOperation(node, resource, op))
			}
		}
	}
}

func readOperation(node, resource string, e *etree.Element) Operation {
	return Operation{
		Node: node, Resource: resource, Task: attr(e, "operation"),
		Interval: time.Duration(number(attr(e, "interval"))) * time.Millisecond,
		Code:     number(attr(e, "rc-code")), Done: attr(e, "op-status") == "0",
		Reason: attr(e, "exit-reason"), At: seconds(attr(e, "last-rc-change")),
	}
}

// pairs are the names and values in the sets of that element's name below e.
func pairs(e *etree.Element, set string) map[string]string {
	values := map[string]string{}
	for _, s := range e.SelectElements(set) {
		for _, p := range s.SelectElements("nvpair") {
			setOnce(values, attr(p, "name"), attr(p, "value"))
		}
	}
	return values
}

func setOnce(values map[string]string, name, value string) {
	if _, found := values[name]; !found && name != "" {
		values[name] = value
	}
}

// Attribute is a node's attribute. One that lasts until the node's reboot wins over one
// for ever, as it does for Pacemaker.
func (c CIB) Attribute(node, name string) (string, bool) {
	if v, found := c.transient[node][name]; found {
		return v, true
	}
	v, found := c.nodeAttributes[node][name]
	return v, found
}

// Score is a node's promotion score; ok is false when it has none.
func (c CIB) Score(node, resource string) (score int, ok bool) {
	text, found := c.Attribute(node, ScoreAttribute(resource))
	if !found {
		return 0, false
	}
	score, err := parseScore(text)
	return score, err == nil
}

// Status is what the agent says is the matter with a node's instance; empty when nothing
// is.
func (c CIB) Status(node, resource string) string {
	text, _ := c.Attribute(node, StatusAttribute(resource))
	return text
}

// FailCount is how often a resource has failed on a node, in all its operations, as far
// as Pacemaker has not forgotten; Infinity at most.
func (c CIB) FailCount(node, resource string) (sum int) {
	for name, value := range c.transient[node] {
		rest, found := strings.CutPrefix(name, "fail-count-")
		name, _, operation := strings.Cut(rest, "#")
		if !found || !operation || primitiveName(name) != resource {
			continue
		}
		if n, err := parseScore(value); err == nil {
			sum = min(sum+n, Infinity)
		}
	}
	return sum
}

// MigrationThreshold is the number of failures on a node after which Pacemaker takes a
// resource away from it; 0 for never.
func (c CIB) MigrationThreshold(r Resource) int {
	for _, values := range []map[string]string{r.Meta, c.defaults} {
		if text, found := values["migration-threshold"]; found {
			n, _ := parseScore(text)
			return max(n, 0)
		}
	}
	return 0
}

// Record is the durable record of a resource, as election.ParseRecord reads it; empty
// when there is none.
func (c CIB) Record(resource string) string { return c.Properties[PropertyName(resource)] }

// NodeOfID is the name of the node that has that id; empty if none has.
func (c CIB) NodeOfID(id string) string { return c.nodeIDs[id] }

// fencingNames are those of the property that says whether the cluster may fence, the newest
// first, which wins (cluster_options in Pacemaker's options.c).
var fencingNames = []string{"fencing-enabled", "stonith-enabled", "stonith_enabled"}

// Fencing says whether the cluster may fence; it does unless told otherwise.
func (c CIB) Fencing() bool {
	value, found := c.Properties[c.FencingProperty()]
	return !found || ocf.IsTrue(value)
}

// FencingProperty is the name under which Fencing is set, or where it is not the one that
// every release of Pacemaker knows.
func (c CIB) FencingProperty() string {
	for _, name := range fencingNames {
		if _, found := c.Properties[name]; found {
			return name
		}
	}
	return "stonith-enabled"
}

// WatchdogFencing says whether nodes fence themselves by their watchdogs, as with SBD that
// has no shared disk: without a fence resource. The time that the others wait for it may be
// left to Pacemaker, by a negative one.
func (c CIB) WatchdogFencing() bool {
	wait, newer := c.Properties["fencing-watchdog-timeout"]
	if !newer {
		wait = c.Properties["stonith-watchdog-timeout"]
	}
	wait = strings.TrimSpace(wait)
	d, ok := Duration(strings.TrimPrefix(wait, "-"))
	return ok && d > 0 && ocf.IsTrue(c.Properties["have-watchdog"])
}

// Last is the newest of the actions of that name on a node; ok is false when Pacemaker
// remembers none. It keeps the last action of each kind, and forgets a promote when a
// demote, stop or start follows.
func (c CIB) Last(resource, node, task string) (last Operation, ok bool) {
	for _, op := range c.history {
		if op.Resource == resource && op.Node == node && op.Task == task && !op.At.Before(last.At) {
			last, ok = op, true
		}
	}
	return last, ok
}

// Seen says whether Pacemaker remembers any action of a resource on a node, a probe included. After
// a cleanup it does not, until it has probed anew.
func (c CIB) Seen(resource, node string) bool {
	return slices.ContainsFunc(c.history, func(op Operation) bool { return op.Resource == resource && op.Node == node })
}

// Resource is the one of that name, by the primitive's or the clone's.
func (c CIB) Resource(name string) (Resource, bool) {
	n := slices.IndexFunc(c.Resources, func(r Resource) bool { return r.Name == name || r.Clone == name })
	if n < 0 {
		return Resource{}, false
	}
	return c.Resources[n], true
}
