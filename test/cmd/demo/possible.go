package main

import (
	"fmt"
	"os"

	"pgsqlms/test/lab"
	"pgsqlms/test/scenario"
)

// possible says why the demo cannot run here, with what mends it.
func possible(o options) error {
	if err := scenario.Possible(); err != nil {
		return err
	}
	if o.agent != lab.AgentPAF {
		if _, err := os.Stat(o.agent); err != nil {
			return fmt.Errorf("the agent to show: %w; build it with \"make build\"", err)
		}
	}
	if _, err := lab.Open(o.name); err == nil {
		return fmt.Errorf("a lab called %q is up already, perhaps kept from an earlier demo; take it down with \"%s\"",
			o.name, labCommand(o.name, "down"))
	}
	return nil
}

// labCommand is how a person does something with the demo's lab.
func labCommand(name, command string) string {
	return fmt.Sprintf("bin/lab %s --name %s", command, name)
}
