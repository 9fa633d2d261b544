package crm

import (
	"github.com/beevik/etree"
)

// Location is a rule of where a resource may run: it prefers a node, keeps the resource
// from it, or both depending on the state of things.
type Location struct {
	ID       string
	Resource string // a resource's or a clone's name; empty for a pattern or a set
	Node     string // empty where a rule expression says which
	Score    int    // Pacemaker's Infinity is a million
	Role     Role   // of which role; empty for all
	Rule     bool   // it holds by a rule, which is not evaluated here
}

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
			l.Node = simpleNode(rule)
		}
		l.Score, _ = parseScore(score)
		found = append(found, l)
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

// LocationsOf are the rules about a resource, by its own name or its clone's.
func (c CIB) LocationsOf(r Resource) (found []Location) {
	for _, l := range c.Locations {
		if l.Resource != "" && (l.Resource == r.Name || l.Resource == r.Clone) {
			found = append(found, l)
		}
	}
	return found
}
