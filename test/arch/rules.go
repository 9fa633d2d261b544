// Package arch holds the architecture: which package may import which.
//
// The packages of the agent stand on four floors, and imports go down only: cmd over agent and operator, over pg and
// crm, over ocf, election, wal, command and metadata. The same table is in .golangci.yml for the linter; here it is an
// ordinary test, so that it also holds where the linter is not at hand.
package arch

import (
	"fmt"
	"strings"
)

const module = "pgsqlms"

// mayImport names, for each package of the agent, the packages of ours that it may import. A package that is not named
// here is refused: give it a place first.
var mayImport = map[string][]string{
	"cmd/pgsqlms": {
		"internal/agent", "internal/operator", "internal/ocf", "internal/pg", "internal/crm",
		"internal/election", "internal/wal", "internal/command", "metadata",
	},

	"internal/agent": {
		"internal/ocf", "internal/pg", "internal/crm", "internal/election", "internal/wal", "internal/command", "metadata",
		"internal/failpoint", "internal/pattern",
	},
	"internal/operator": {
		"internal/ocf", "internal/pg", "internal/crm", "internal/election", "internal/wal", "internal/command", "metadata",
		"internal/pattern",
	},

	"internal/pg":  {"internal/command", "internal/wal", "internal/pattern"},
	"internal/crm": {"internal/ocf", "internal/command", "internal/pattern"},

	"internal/ocf":       {"internal/command"},
	"internal/election":  {"internal/wal"},
	"internal/wal":       nil,
	"internal/command":   nil,
	"internal/failpoint": nil,
	"internal/pattern":   nil,
	"metadata":           nil,

	// Writes the reference page, for which it collects the tables of other packages. It is no part of the agent.
	"metadata/gen": {"metadata", "internal/ocf", "internal/agent", "internal/operator"},
}

// onlyIn names the imports that have one home among the packages of the agent, or none (their home is the tests).
// An import is meant with everything below it.
var onlyIn = map[string][]string{
	"os/exec":                         {"internal/command"},
	"github.com/jackc/pgx":            {"internal/pg"},
	"github.com/beevik/etree":         {"internal/crm"},
	"github.com/stretchr/testify":     nil,
	"github.com/rogpeppe/go-internal": nil,
	"pgregory.net/rapid":              nil,
}

// never names what a package must do without, for a reason of its own.
var never = map[string][]string{
	"internal/election": {"os", "time", "net"}, // decisions: no input and output, no clock
}

// imported is one import as it stands in a file.
type imported struct {
	file string // for the message
	from string // the importing package's directory, below the module's root
	path string // the import path
}

// violation says what is wrong with an import; empty when nothing is.
func violation(i imported) string {
	if ours, ok := strings.CutPrefix(i.path, module+"/"); ok {
		return violationOfFloors(i, ours)
	}
	for path, homes := range onlyIn {
		if within(i.path, path) && !contains(homes, i.from) {
			return fmt.Sprintf("%s: %s may not import %s, expected only in %s", i.file, i.from, i.path, orTests(homes))
		}
	}
	for _, path := range never[i.from] {
		if within(i.path, path) {
			return fmt.Sprintf("%s: %s may not import %s, nor anything below %s", i.file, i.from, i.path, path)
		}
	}
	return ""
}

func violationOfFloors(i imported, ours string) string {
	allowed, known := mayImport[i.from]
	switch {
	case !known:
		return fmt.Sprintf("%s: package %s has no place in the table mayImport", i.file, i.from)
	case !contains(allowed, ours):
		return fmt.Sprintf("%s: %s may not import %s, expected one of %v", i.file, i.from, ours, allowed)
	}
	return ""
}

// within tells whether an import path is the other one or lies below it. Major versions count as below.
func within(path, parent string) bool {
	return path == parent || strings.HasPrefix(path, parent+"/")
}

func contains(list []string, s string) bool {
	for _, item := range list {
		if item == s {
			return true
		}
	}
	return false
}

func orTests(homes []string) string {
	if len(homes) == 0 {
		return "tests"
	}
	return strings.Join(homes, ", ")
}
