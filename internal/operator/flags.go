package operator

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// output is the form of what a command shows.
type output string

const (
	outputText output = "text"
	outputJSON output = "json"
)

// String and Set make it a flag.Value.
func (o *output) String() string { return string(*o) }

// Set takes one of the two forms.
func (o *output) Set(s string) error {
	switch output(s) {
	case outputText, outputJSON:
		*o = output(s)
		return nil
	}
	return errors.New("expected text or json")
}

// parse reads a command's flags. They may stand before and after its other arguments.
func parse(cmd verb, p Process) (*call, error) {
	c := &call{Process: p, output: outputText, now: time.Now, uid: os.Geteuid}
	c.flags = flag.NewFlagSet(cmd.name, flag.ContinueOnError)
	c.flags.SetOutput(io.Discard) // what is wrong is told in our own words
	c.flags.Usage = func() {}
	c.flags.StringVar(&c.resource, "resource", "", "`name` of the pgsqlms resource, where the cluster has more than one")
	c.flags.Var(&c.output, "output", "`form` of the output, text or json")
	if cmd.setup != nil {
		cmd.setup(c)
	}
	rest := p.Args[1:]
	for {
		if err := c.flags.Parse(rest); err != nil {
			return c, err
		}
		rest = c.flags.Args()
		if len(rest) == 0 {
			break
		}
		c.args, rest = append(c.args, rest[0]), rest[1:]
	}
	if cmd.args == "" && len(c.args) > 0 {
		return c, fmt.Errorf("takes no argument, found %q", c.args[0])
	}
	return c, nil
}

// help is what --help prints.
func (cmd verb) help(flags *flag.FlagSet) string {
	var b strings.Builder
	fmt.Fprintf(&b, "pgsqlms %s: %s\n\n", cmd.name, cmd.purpose)
	fmt.Fprintf(&b, "usage: pgsqlms %s [flags]%s\n\n", cmd.name, cmd.args)
	flags.VisitAll(func(f *flag.Flag) {
		value, text := flag.UnquoteUsage(f)
		if value != "" {
			value = " " + strings.ToUpper(value)
		}
		fmt.Fprintf(&b, "  %-22s %s\n", "--"+f.Name+value, text)
	})
	fmt.Fprintf(&b, "  %-22s %s\n", "--help", "this text")
	fmt.Fprintf(&b, "\nexample:\n%s", indent(cmd.example, "  "))
	var codes []string
	for _, e := range exitMeanings {
		codes = append(codes, fmt.Sprintf("%d %s", e.Code, e.Meaning))
	}
	fmt.Fprintf(&b, "\n%s\n", strings.Join(wrap("exit code: "+strings.Join(codes, "; "), leastColumns), "\n"))
	return b.String()
}

func indent(text, by string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(by + line)
	}
	return b.String()
}
