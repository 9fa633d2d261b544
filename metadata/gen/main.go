// Command gen writes docs/reference.md and the manual pages in man/ from the tables of the package metadata. Its argument
// is the root of the checkout.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"pgsqlms/internal/agent"
	"pgsqlms/internal/operator"
	"pgsqlms/metadata"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: gen ROOT")
		os.Exit(2)
	}
	all, err := pages()
	if err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
	for name, text := range all {
		if err := os.WriteFile(filepath.Join(os.Args[1], name), []byte(text), 0o644); err != nil {
			fmt.Fprintln(os.Stderr, "gen:", err)
			os.Exit(1)
		}
	}
}

// pages are the files to write, with everything that the agent's packages have to add to them.
func pages() (map[string]string, error) {
	commands, exits, err := operator.Manual()
	if err != nil {
		return nil, err
	}
	return map[string]string{
		"docs/reference.md":           metadata.Reference(reasons()),
		"man/ocf_heartbeat_pgsqlms.7": metadata.AgentManual(reasons()),
		"man/pgsqlms.8":               metadata.CommandManual(commands, exits),
	}, nil
}

func reasons() []metadata.Reason {
	var rows []metadata.Reason
	for _, r := range agent.Reasons() {
		rows = append(rows, metadata.Reason{Name: r.Name, Code: int(r.Code), Text: r.Text, Help: r.Help})
	}
	return rows
}
