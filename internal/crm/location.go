package crm

import (
	"slices"
	"time"

	"github.com/beevik/etree"
)

// Location is a rule of where a resource may run: it prefers a node, keeps the resource
// from it, or both depending on the state of things.
type Location struct {
	ID       string
	Resource string // a resource's or a clone's name; empty for a pattern
	Node     string // empty where a rule expression says which
	Score    int    // Pacemaker's Infinity is a million
	Role     Role   // of which role; empty for all
	Rule     bool   // it is given by a rule, which is not evaluated here; see InEffect

	// Until is the end of a lifetime, as crm_resource --lifetime writes it; zero without one.
	Until time.Time
}

// over says that its lifetime has ended by a clock.
func (l Location) over(now time.Time) bool { return !l.Until.IsZero() && !now.Before(l.Until) }

func readLocations(root *etree.Element) (found []Location) {
	for _, e := range root.FindElements("./configuration/constraints/rsc_location") {
		l := Location{ID: attr(e, "id"), Resource: attr(e, "rsc"), Node: attr(e, "node"), Role: roleOf(attr(e, "role"))}
		score := attr(e, "score")
		if rule := e.SelectElement("rule"); rule != nil {
			l.Rule = true
			score = attr(rule, "score")
			if role := attr(rule, "role"); role != "" {
				l.Role = roleOf(role)
			}
			l.Node, l.Until = simpleNode(rule), simpleEnd(rule)
		}
		l.Score, _ = parseScore(score)
		found = append(found, l.each(e)...)
	}
	return found
}

// each is a location for every resource of its sets; itself where it has none.
func (l Location) each(e *etree.Element) (found []Location) {
	for _, set := range e.SelectElements("resource_set") {
		if role := attr(set, "role"); role != "" {
			l.Role = roleOf(role)
		}
		for _, ref := range set.SelectElements("resource_ref") {
			l.Resource = attr(ref, "id")
			found = append(found, l)
		}
	}
	if found == nil {
		return []Location{l}
	}
	return found
}

// simpleNode is the node of a rule that does nothing but name one, as crm_resource --move
// --lifetime and crmsh write them.
func simpleNode(rule *etree.Element) string {
	for _, e := range rule.SelectElements("expression") {
		if attr(e, "attribute") == "#uname" && attr(e, "operation") == "eq" {
			return attr(e, "value")
		}
	}
	return ""
}

// simpleEnd is the moment from which on a rule cannot hold; zero where there is none, or it
// cannot be read. Expressions are joined by "and" unless a rule says otherwise.
func simpleEnd(rule *etree.Element) time.Time {
	if op := attr(rule, "boolean-op"); op != "" && op != "and" {
		return time.Time{}
	}
	for _, e := range rule.SelectElements("date_expression") {
		if attr(e, "operation") == "lt" {
			return moment(attr(e, "end"))
		}
	}
	return time.Time{}
}

// LocationsOf are the rules about a resource, by its own name or its clone's.
func (c CIB) LocationsOf(r Resource) (found []Location) {
	for _, l := range c.Locations {
		if l.Resource != "" && (l.Resource == r.Name || l.Resource == r.Clone) {
			found = append(found, l)
		}
	}
	return found
}

// InEffect are the rules about a resource that hold now, for what can be told. Of those that
// keep it from a node Pacemaker tells all, whatever they are given by: the ones of a rule
// expression, which may have expired or hold for some nodes only, are taken from there. Of
// those that prefer a node, rules are not evaluated, but for the end of a lifetime, and
// patterns are not read. That end is judged by the clock of the node that was asked, as soon
// as it has come: the coordinator's clock may be another, but whoever set it wanted no more.
func (c CIB) InEffect(s State, r Resource) (found []Location) {
	for _, l := range c.LocationsOf(r) {
		if l.over(s.Asked) {
			continue
		}
		if !l.Rule || l.Score >= 0 {
			found = append(found, l)
		}
	}
	for _, b := range s.Bans {
		known := slices.ContainsFunc(found, func(l Location) bool { return l.ID == b.ID && l.Node == b.Node })
		if known || b.Resource != r.Name && b.Resource != r.Clone {
			continue
		}
		l := Location{ID: b.ID, Resource: b.Resource, Node: b.Node, Score: b.Score}
		if n := slices.IndexFunc(c.Locations, func(l Location) bool { return l.ID == b.ID }); n >= 0 {
			l.Role, l.Rule = c.Locations[n].Role, c.Locations[n].Rule
		}
		if b.Promoted {
			l.Role = RolePromoted
		}
		found = append(found, l)
	}
	return found
}
