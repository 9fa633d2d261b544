package crm

import (
	"maps"

	"github.com/beevik/etree"

	"pgsqlms/internal/ocf"
)

// AgentType is the name under which the agent is installed, and which its resources have
// for a type.
const AgentType = "pgsqlms"

// Resource is a resource of this agent, as it is configured.
type Resource struct {
	Name   string            // the primitive's
	Clone  string            // empty where it is not cloned
	Params map[string]string // those set, without the defaults
	Meta   map[string]string // of the clone, and where that has none of the name, of the primitive
	Inner  map[string]bool   // which of them are the primitive's own
	Ops    []Op

	// ByRule says that a set of parameters holds by a rule only, which is not evaluated
	// here: Params has what is set without one.
	ByRule bool
}

// Op is one operation of a resource, as it is configured. Times are as the administrator
// wrote them, as in 15s.
// Where it does not say so itself, the defaults of all operations (op_defaults) hold for the
// last three.
type Op struct {
	Name, Interval string
	Role           Role // empty for all
	Timeout        string
	OnFail         string // empty for Pacemaker's own choice
	Enabled        string // false: a monitor that is not run

	// Own are the options that it says itself, by name, as they are spelled there: without
	// the defaults, and without its id and its name.
	Own map[string]string
}

// Outer is the name by which the resource is moved, told its role and its meta attributes: the
// clone's, or where it is not cloned its own.
func (r Resource) Outer() string {
	if r.Clone != "" {
		return r.Clone
	}
	return r.Name
}

// Unset are the arguments of crm_resource that take a meta attribute away where it is set:
// it looks at the clone, and only --force makes it look at the primitive in it.
func (r Resource) Unset(name string) []string {
	if r.Inner[name] && r.Clone != "" {
		return []string{"--resource", r.Name, "--meta", "--delete-parameter", name, "--force"}
	}
	return []string{"--resource", r.Outer(), "--meta", "--delete-parameter", name}
}

// Promotable says whether the resource is a promotable clone, in either spelling.
func (r Resource) Promotable() bool { return r.Clone != "" && ocf.IsTrue(r.Meta["promotable"]) }

// readResources finds the primitives of this agent, in clones, in groups, and alone.
func readResources(root *etree.Element) (found []Resource) {
	resources := root.FindElement("./configuration/resources")
	if resources == nil {
		return nil
	}
	for _, e := range resources.FindElements(".//primitive") {
		template := templateOf(resources, e)
		if typeOf(e, template) == AgentType {
			found = append(found, readResource(root, e, template))
		}
	}
	return found
}

// templateOf is the template that a primitive is made from; nil for none.
func templateOf(resources, e *etree.Element) *etree.Element {
	return byID(resources.SelectElements("template"), attr(e, "template"))
}

func byID(elements []*etree.Element, id string) *etree.Element {
	for _, e := range elements {
		if id != "" && attr(e, "id") == id {
			return e
		}
	}
	return nil
}

func typeOf(e, template *etree.Element) string {
	if template != nil {
		return attr(template, "type")
	}
	return attr(e, "type")
}

func readResource(root, e, template *etree.Element) Resource {
	r := Resource{Name: attr(e, "id"), Params: map[string]string{}, Meta: map[string]string{}, Inner: map[string]bool{}}
	for up := e.Parent(); up != nil && up.Tag != "resources"; up = up.Parent() {
		if up.Tag == "clone" || up.Tag == "master" {
			r.Clone = attr(up, "id")
			r.merge(r.Meta, root, up, "meta_attributes")
			if up.Tag == "master" {
				r.Meta["promotable"] = "true"
			}
		}
	}
	for _, from := range []*etree.Element{e, template} {
		if from == nil {
			continue
		}
		r.merge(r.Params, root, from, "instance_attributes")
		outer := maps.Clone(r.Meta)
		r.merge(r.Meta, root, from, "meta_attributes")
		for name := range r.Meta {
			if _, found := outer[name]; !found && from == e {
				r.Inner[name] = true
			}
		}
		for _, op := range from.FindElements("./operations/op") {
			r.Ops = append(r.Ops, readOp(root, op))
		}
	}
	return r
}

// readOp reads an operation: its own attributes come first, then those in a set of its own,
// then the defaults.
func readOp(root, e *etree.Element) Op {
	var defaults Resource
	values, own := map[string]string{}, map[string]string{}
	for _, a := range e.Attr {
		if a.Key != "id" && a.Key != "name" {
			own[a.Key] = a.Value
		}
	}
	defaults.merge(values, root, e, "meta_attributes")
	defaults.merge(own, root, e, "meta_attributes")
	defaults.merge(own, root, e, "instance_attributes")
	if all := root.FindElement("./configuration/op_defaults"); all != nil {
		defaults.merge(values, root, all, "meta_attributes")
	}
	get := func(name string) string {
		if own := attr(e, name); own != "" {
			return own
		}
		return values[name]
	}
	return Op{
		Name: attr(e, "name"), Interval: attr(e, "interval"), Role: roleOf(attr(e, "role")),
		Timeout: get("timeout"), OnFail: get("on-fail"), Enabled: get("enabled"), Own: own,
	}
}

// merge adds the pairs of the sets below e that hold without a rule; the first of a name
// counts. A set may be another one's, named by id-ref.
func (r *Resource) merge(values map[string]string, root, e *etree.Element, set string) {
	for _, s := range e.SelectElements(set) {
		if ref := attr(s, "id-ref"); ref != "" {
			if s = byID(root.FindElements("./configuration//"+set), ref); s == nil {
				continue
			}
		}
		if s.SelectElement("rule") != nil {
			r.ByRule = true
			continue
		}
		own := map[string]string{}
		for _, p := range s.SelectElements("nvpair") {
			setOnce(own, attr(p, "name"), attr(p, "value"))
		}
		maps.DeleteFunc(own, func(name, _ string) bool { _, found := values[name]; return found })
		maps.Copy(values, own)
	}
}
