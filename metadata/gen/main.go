// Command gen writes docs/reference.md from the tables of the package metadata. Its argument is the file to write.
package main

import (
	"fmt"
	"os"

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

// reasons hook: the rows come from the package that words the exit reasons, once it offers them.
func reasons() []metadata.Reason { return nil }
