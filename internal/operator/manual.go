package operator

import (
	"flag"

	"pgsqlms/metadata"
)

// Manual is what the manual page pgsqlms(8) says of the commands, and of their exit codes.
func Manual() (all []metadata.Command, exits []metadata.CommandExit, err error) {
	for _, v := range commands() {
		c, err := parse(v, Process{Args: []string{v.name}})
		if err != nil {
			return nil, nil, err
		}
		page := metadata.Command{Name: v.name, Args: v.args, Purpose: v.purpose, Example: v.example}
		c.flags.VisitAll(func(f *flag.Flag) {
			value, text := flag.UnquoteUsage(f)
			page.Flags = append(page.Flags, metadata.Flag{Name: f.Name, Value: value, Text: text})
		})
		all = append(all, page)
	}
	return all, exitMeanings, nil
}
