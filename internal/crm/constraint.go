package crm

import (
	"slices"

	"github.com/beevik/etree"

	"pgsqlms/internal/ocf"
)

// Colocation is a rule that a resource runs where another one does.
type Colocation struct {
	ID       string
	Resource string
	With     string
	WithRole Role // of the other one; empty for all
	Score    int
}

// Order is a rule that an action of a resource waits for one of another's.
type Order struct {
	ID                 string
	First, FirstAction string // the action is start where none is set
	Then, ThenAction   string // the action is that of First where none is set
	Symmetrical        bool   // the reverse holds for the opposite actions
	Mandatory          bool   // false: only where both happen in one transition
}

func (c *CIB) readRules(root *etree.Element) {
	c.groups = map[string][]string{}
	for _, group := range root.FindElements("./configuration/resources//group") {
		for _, e := range group.SelectElements("primitive") {
			c.groups[attr(group, "id")] = append(c.groups[attr(group, "id")], attr(e, "id"))
		}
	}
	for _, e := range root.FindElements("./configuration/constraints/rsc_colocation") {
		l := Colocation{ID: attr(e, "id"), Resource: attr(e, "rsc"), With: attr(e, "with-rsc"), WithRole: roleOf(attr(e, "with-rsc-role"))}
		l.Score, _ = parseScore(attr(e, "score"))
		if l.Resource == "" { // resource sets have none, and are not read
			c.ColocationSets = append(c.ColocationSets, l.ID)
			continue
		}
		c.Colocations = append(c.Colocations, l)
	}
	for _, e := range root.FindElements("./configuration/constraints/rsc_order") {
		o := Order{ID: attr(e, "id"), First: attr(e, "first"), FirstAction: attr(e, "first-action"), Then: attr(e, "then"), ThenAction: attr(e, "then-action")}
		if o.First == "" {
			c.OrderSets = append(c.OrderSets, o.ID)
			continue
		}
		if o.FirstAction == "" {
			o.FirstAction = "start"
		}
		if o.ThenAction == "" {
			o.ThenAction = o.FirstAction
		}
		kind := attr(e, "kind")
		o.Mandatory = kind == "" || kind == "Mandatory"
		o.Symmetrical = attr(e, "symmetrical") == "" && kind != "Serialize" || ocf.IsTrue(attr(e, "symmetrical"))
		c.Orders = append(c.Orders, o)
	}
}

// Followers are the resources that run where the promoted instance of r is, such as a
// virtual IP: by a colocation with that role. Groups are given as their members.
func (c CIB) Followers(r Resource) (names []string) { return c.followers(r, 1) }

// Bound are the Followers that run nowhere else: by a colocation whose score is INFINITY.
func (c CIB) Bound(r Resource) (names []string) { return c.followers(r, Infinity) }

// WithPromoted are the colocations with the promoted instance of r that have that score at
// least.
func (c CIB) WithPromoted(r Resource, least int) (found []Colocation) {
	for _, l := range c.Colocations {
		if l.Score >= least && l.WithRole == RolePromoted && (l.With == r.Name || l.With == r.Clone) {
			found = append(found, l)
		}
	}
	return found
}

func (c CIB) followers(r Resource, least int) (names []string) {
	for _, l := range c.WithPromoted(r, least) {
		members := c.groups[l.Resource]
		if members == nil {
			members = []string{l.Resource}
		}
		for _, name := range members {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

// GroupOf is the group of which a resource is a member, or else the resource itself: what
// constraints are about.
func (c CIB) GroupOf(resource string) string {
	for name, members := range c.groups {
		if slices.Contains(members, resource) {
			return name
		}
	}
	return resource
}

// Group are the members of a group; nil where the name is none's.
func (c CIB) Group(name string) []string { return c.groups[name] }
