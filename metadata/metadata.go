// Package metadata is the one source of what the agent says about itself: its parameters with their defaults,
// its actions with their suggested timeouts, and the meaning of its exit codes.
//
// The meta-data XML that Pacemaker, pcs and crmsh read, the defaults that the agent applies and the reference page
// in docs/ are all made from the tables in this package, so none of them can drift from the others. The package
// imports nothing of the agent and calls no tool: Pacemaker asks for meta-data on nodes where nothing else is
// installed, and before any configuration exists.
package metadata

import "time"

// Name is the name of the resource type, as in ocf:heartbeat:pgsqlms.
const Name = "pgsqlms"

// ocfVersion is the version of the OCF resource agent API that the meta-data declares.
//
// It stays at 1.0 on purpose. From 1.1 on, Pacemaker ignores the `reload` action when a parameter changes, and
// restarts the resource instead: correcting a typing error in maxlag would restart PostgreSQL on every node at once.
// See docs/decisions/0003-metadata-version-and-roles.md.
const ocfVersion = "1.0"

// Type is the content type of a parameter. Only the three that every validator knows exist here.
type Type string

// The content types of parameters.
const (
	TypeString  Type = "string"
	TypeInteger Type = "integer"
	TypeBoolean Type = "boolean"
)

// Parameter describes one instance parameter, which reaches the agent as OCF_RESKEY_<Name>.
type Parameter struct {
	Name string
	Type Type

	// Default is the value that holds when the parameter is not set. Where the default follows another parameter,
	// Default is empty and DefaultFrom says in words what it follows.
	Default     string
	DefaultFrom string

	// Unique parameters may not have the same value in two resources. Pacemaker restarts the resource when one of
	// them changes, and calls `reload` when one of the others does.
	Unique   bool
	Required bool

	Short string // a few words, for lists
	Long  string // whole sentences; an empty line begins a paragraph
}

// Role is a role of a promotable clone's instance, as an operation names it.
type Role string

// The roles of operations. RoleAny is an operation that is not bound to a role.
const (
	RoleAny        Role = ""
	RolePromoted   Role = "Promoted"
	RoleUnpromoted Role = "Unpromoted"
)

// Action describes one action and the timing suggested for it. A name may occur more than once: a promotable clone is
// monitored in each of its roles, at intervals that differ.
type Action struct {
	Name     string
	Role     Role
	Timeout  time.Duration
	Interval time.Duration // 0: not a recurring operation
	Short    string        // what it does, for the reference page
}

// ParameterNamed returns the parameter of that name; ok is false when there is none.
func ParameterNamed(name string) (p Parameter, ok bool) {
	for _, p := range parameters {
		if p.Name == name {
			return p, true
		}
	}
	return Parameter{}, false
}

// Default returns the default of the parameter of that name: empty when it has none, follows another parameter, or
// does not exist.
func Default(name string) string {
	p, _ := ParameterNamed(name)
	return p.Default
}
