// Command gen writes docs/reference.md from the tables of the package metadata. Its argument is the file to write.
package main

import (
	"fmt"
	"os"

	"pgsqlms/internal/agent"
	"pgsqlms/metadata"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: gen FILE")
		os.Exit(2)
	}
	if err := os.WriteFile(os.Args[1], []byte(page()), 0o644); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

// page is the reference with everything that the agent's packages have to add to it.
func page() string {
	return metadata.Reference(reasons())
}

func reasons() []metadata.Reason {
	var rows []metadata.Reason
	for _, r := range agent.Reasons() {
		rows = append(rows, metadata.Reason{Name: r.Name, Code: int(r.Code), Text: r.Text, Help: r.Help})
	}
	return rows
}
